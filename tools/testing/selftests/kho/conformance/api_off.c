// SPDX-License-Identifier: GPL-2.0-only
/*
 * api_off.c - the functions that KHO exports where KHO is off, or not built in
 *
 * Nothing is preserved then, and who asks for it is told so.  What an earlier
 * kernel handed over is there all the same, for the memory has to be given back.
 */
#include "producer.h"

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.off",
	.summary = "the in-kernel API with KHO on, then off, then not built in",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_MODULE,
	.cmdline = "kho_scratch=8M,64M,16M",
	.programs = { "kho_api_off" },
	.steps = "boot kho=on\nkexec kho=off\nkexec@nokho kho=on\n",
};

static const struct kho_boot *boot(void)
{
	return kho_boot_of(kho_generation());
}

static bool absent(void)
{
	return kho_unknown() || !kho_config("CONFIG_KEXEC_HANDOVER");
}

static const char *not_on(void)
{
	return no_producer_here() ?: boot() && boot()->on ? NULL : "KHO is off";
}

static const char *not_off(void)
{
	if (no_producer_here())
		return no_producer_here();
	if (!boot())
		return "not in a machine of khotest";
	return boot()->on ? "KHO is on" : absent() ? "KHO is not built in" : NULL;
}

static const char *not_absent(void)
{
	return no_producer_here() ?: absent() ? NULL : "KHO is built in";
}

static bool told(const char *line)
{
	return strstr(reply, line);
}

KHO_TEST_WHERE(kx8, something_is_handed_over, not_on())
{
	ASSERT_EQ(0, no_module);
	EXPECT_EQ(0, producer("new f folio 4"));
	EXPECT_EQ(0, producer("fill f 1"));
	EXPECT_EQ(0, producer("preserve f"));
	EXPECT_EQ(0, producer("new v vmalloc 600"));
	EXPECT_EQ(0, producer("fill v 2"));
	EXPECT_EQ(0, producer("preserve v"));
}

KHO_TEST_WHERE(kx8, what_was_handed_over_is_restored_with_kho_off, not_off())
{
	if (!boot()->handed_over)
		SKIP(return, "nothing was handed over");
	ASSERT_EQ(0, no_module);
	EXPECT_EQ(0, producer("restore f"));
	EXPECT_EQ(0, producer("check f 1"));
	EXPECT_EQ(0, producer("put f"));
	EXPECT_EQ(0, producer("restore v"));
	EXPECT_EQ(0, producer("check v 2"));
	EXPECT_EQ(0, producer("put v"));
}

KHO_TEST_WHERE(a2, kho_says_that_it_is_off, not_off())
{
	ASSERT_EQ(0, no_module);
	ASSERT_EQ(0, producer("self"));
	EXPECT_TRUE(told("enabled 0\n"));
	EXPECT_TRUE(told(boot()->handed_over ? "boot 1\n" : "boot 0\n"));
	EXPECT_TRUE(told("vmalloc_of_a_page -22\n"));
}

KHO_TEST_WHERE(a2, nothing_is_preserved_with_kho_off, not_off())
{
	static const char * const kind[] = { "folio 0", "folio 5", "pages 7", "vmalloc 3" };

	ASSERT_EQ(0, no_module);
	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		int fd, err;

		ASSERT_EQ(0, producer("new x %s", kind[i]));
		fd = kho_warning_begin(_metadata, "kho_");
		err = producer("preserve x");
		/* a page that tells where others are is asked for in vain */
		EXPECT_EQ(strncmp(kind[i], "vmalloc", 7) ? -EINVAL : -ENOMEM, err);
		kho_warning_end(_metadata, fd, "kho_", 1);
		EXPECT_EQ(0, producer("put x"));
	}
	for (int i = 0; i < 2; i++) {
		int fd = kho_warning_begin(_metadata, "kho_");

		EXPECT_EQ(-EINVAL, producer("new x kho 5000"));
		kho_warning_end(_metadata, fd, "kho_", 1);
	}
}

KHO_TEST_WHERE(a1, each_function_says_that_there_is_no_kho, not_absent())
{
	static const char * const kind[] = { "folio 0", "pages 7", "vmalloc 3", "huge 512" };

	ASSERT_EQ(0, no_module);
	ASSERT_EQ(0, producer("self"));
	EXPECT_TRUE(told("enabled 0\n"));
	EXPECT_TRUE(told("boot 0\n"));
	EXPECT_TRUE(told("retrieve_without_phys -95\n"));
	EXPECT_TRUE(told("retrieve_without_size -95\n"));
	EXPECT_TRUE(told("vmalloc_of_a_page -95\n"));
	EXPECT_EQ(0, producer("list"));
	EXPECT_STREQ("", reply);
	EXPECT_EQ(-EOPNOTSUPP, producer("get kexec-metadata"));
	EXPECT_EQ(-EOPNOTSUPP, producer("new x kho 5000"));
	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		ASSERT_EQ(0, producer("new x %s", kind[i]));
		EXPECT_EQ(-EOPNOTSUPP, producer("preserve x"));
		if (strncmp(kind[i], "vmalloc", 7) && strncmp(kind[i], "huge", 4)) {
			EXPECT_EQ(-EOPNOTSUPP, producer("part x 0 1"));
			EXPECT_EQ(-EOPNOTSUPP, producer("add x name 8"));
		}
		EXPECT_EQ(0, producer("put x"));
	}
	EXPECT_EQ(-ENODATA, producer("probe 0x%llx", page_size() << 10));
	EXPECT_EQ(-ENODATA, producer("probe 0x%llx 4", page_size() << 10));
	EXPECT_EQ(-EOPNOTSUPP, producer("radix add 1"));
	EXPECT_EQ(-EOPNOTSUPP, producer("radix walk"));
}

/* it can go where there is nothing to take back, and come again */
KHO_TEST_WHERE(u2, the_test_producer_goes_and_comes, no_producer_here())
{
	if (boot() && boot()->on)
		SKIP(return, "what it holds is for the next kernel");
	ASSERT_EQ(0, no_module);
	EXPECT_EQ(0, producer("new x folio 2"));
	EXPECT_EQ(0, syscall(SYS_delete_module, "kho_producer", 0));
	EXPECT_EQ(0, load_module(""));
	EXPECT_EQ(-ENOENT, producer("put x"));
}

TEST_HARNESS_MAIN
