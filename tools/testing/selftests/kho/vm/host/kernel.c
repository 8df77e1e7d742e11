// SPDX-License-Identifier: GPL-2.0-only
/*
 * kernel.c - what can be known of a kernel image before it runs
 *
 * The headers are those of Documentation/arch/x86/boot.rst and
 * Documentation/arch/arm64/booting.rst.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/kho.h"
#include "host.h"

#define IMAGE_MAX	(256u << 20)
#define CONFIG_MAX	(4u << 20)

/* offsets into a bzImage */
enum {
	HDR_SETUP_SECTS = 0x1f1,
	HDR_SYSSIZE = 0x1f4,
	HDR_MAGIC = 0x202,
	HDR_VERSION_PTR = 0x20e,
	HDR_PAYLOAD_OFFSET = 0x248,
	HDR_PAYLOAD_LENGTH = 0x24c,
	HDR_END = 0x250,
};

/* offsets into an arm64 Image, which has no release */
enum {
	ARM_MAGIC = 0x38,
	ARM_END = 0x40,
};

static u32 le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}

/* have a program read bytes; what it gives, up to a bound */
static char *filter(const char *tool, const char *option, const unsigned char *in,
		    size_t len, size_t max, size_t *out_len)
{
	char name[] = "/tmp/kho-XXXXXX";
	int in_fd, fds[2], status;
	size_t n = 0, size = 0;
	char *out = NULL;
	pid_t pid;

	in_fd = mkostemp(name, O_CLOEXEC);
	if (in_fd < 0)
		return NULL;
	unlink(name);
	if (write(in_fd, in, len) != (ssize_t)len || lseek(in_fd, 0, SEEK_SET) ||
	    pipe2(fds, O_CLOEXEC)) {
		close(in_fd);
		return NULL;
	}
	pid = fork();
	if (!pid) {
		dup2(in_fd, STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		freopen("/dev/null", "w", stderr);
		execlp(tool, tool, option, NULL);
		_exit(127);
	}
	close(in_fd);
	close(fds[1]);
	while (pid > 0) {
		ssize_t r;

		if (n == size) {
			char *p;

			size = size ? 2 * size : 1 << 20;
			p = size > 2 * max ? NULL : realloc(out, size + 1);
			if (!p)
				break;
			out = p;
		}
		r = read(fds[0], out + n, size - n);
		if (r <= 0)
			break;
		n += r;
	}
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	/* the payload is followed by its size: a complaint about it is no error */
	*out_len = n;
	if (out)
		out[n] = '\0';
	return out;
}

static const char *tool_for(const unsigned char *p, size_t len)
{
	static const struct {
		const char *magic;
		int len;
		const char *tool;
	} tools[] = {
		{ "\x1f\x8b", 2, "gzip" },
		{ "\x02\x21\x4c\x18", 4, "lz4" },
		{ "\xfd\x37zXZ", 5, "xz" },
		{ "\x28\xb5\x2f\xfd", 4, "zstd" },
		{ "BZh", 3, "bzip2" },
		{ "\x5d\x00\x00", 3, "lzma" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (len > (size_t)tools[i].len &&
		    !memcmp(p, tools[i].magic, tools[i].len))
			return tools[i].tool;
	return NULL;
}

/* by what it is, whatever it is called; unknown where nobody can say */
static void identify(struct kernel *k, const unsigned char *image)
{
	size_t n;
	char *sum = filter("sha256sum", "-b", image, k->size, 1 << 20, &n);

	if (sum && strspn(sum, "0123456789abcdef") == sizeof(k->sha256) - 1)
		snprintf(k->sha256, sizeof(k->sha256), "%s", sum);
	free(sum);
}

/* CONFIG_IKCONFIG: the configuration between two marks within the kernel */
static char *config_within(const char *vmlinux, size_t n)
{
	char *start = memmem(vmlinux, n, "IKCFG_ST", 8), *config = NULL;
	char *end = start ? memmem(start, n - (start - vmlinux), "IKCFG_ED", 8) : NULL;
	size_t m = 0;

	if (end)
		config = filter("gzip", "-dc", (unsigned char *)start + 8, end - start - 8,
				CONFIG_MAX, &m);
	if (config && (!m || strlen(config) != m)) {
		free(config);
		config = NULL;
	}
	return config;
}

/* what runs, to be freed; NULL where it cannot be had */
static char *unpack(const struct kernel *k, const unsigned char *image, size_t *n)
{
	u64 off = (image[HDR_SETUP_SECTS] + 1) * 512 +
		  (u64)le32(image + HDR_PAYLOAD_OFFSET);
	u64 plen = le32(image + HDR_PAYLOAD_LENGTH);
	const char *tool;
	char *copy;

	if (strcmp(k->arch, "x86_64")) {
		copy = malloc(k->size);
		*n = k->size;
		return copy ? memcpy(copy, image, k->size) : NULL;
	}
	if (off > k->size || plen > k->size - off)
		return NULL;
	tool = tool_for(image + off, plen);
	return tool ? filter(tool, "-dc", image + off, plen, IMAGE_MAX, n) : NULL;
}

static char *embedded_config(const struct kernel *k, const unsigned char *image)
{
	char *vmlinux, *config;
	size_t n;

	vmlinux = unpack(k, image, &n);
	if (!vmlinux)
		return NULL;
	config = config_within(vmlinux, n);
	free(vmlinux);
	return config;
}

static bool config_file(struct kernel *k, const char *path)
{
	char real[PATH_MAX];
	struct kho_blob b;

	if (kho_read_file(path, &b))
		return false;
	/* a text about kernels is none */
	if (!strstr(b.data, "\nCONFIG_") || !strstr(b.data, "=y\n")) {
		kho_blob_free(&b);
		return false;
	}
	k->config = b.data;
	snprintf(k->config_from, sizeof(k->config_from), "%s", realpath(path, real) ?: path);
	return true;
}

static void find_config(struct kernel *k, const unsigned char *image)
{
	char *copy = strdup(k->path);
	const char *dir = dirname(copy);
	char path[1024];
	int i;

	for (i = 0; i < 4 && !k->config; i++) {
		/* beside it; where a build or Debian leaves it */
		snprintf(path, sizeof(path), i == 0 ? "%s/config-%s" :
			 i == 1 ? "%s/config" : i == 2 ? "%s/.config" :
			 "%s/../../../.config", dir, k->release);
		config_file(k, path);
	}
	free(copy);
	if (k->config)
		return;
	k->config = embedded_config(k, image);
	if (k->config)
		snprintf(k->config_from, sizeof(k->config_from), "image");
}

/* up to the first character that a release cannot have */
static void take_release(struct kernel *k, const unsigned char *image, size_t at)
{
	for (size_t i = 0; at + i < k->size && i < sizeof(k->release) - 1; i++) {
		unsigned char c = image[at + i];

		if (c <= ' ' || c > '~' || c == '/')
			break;
		k->release[i] = c;
	}
}

/* NULL, or what is wrong with it */
static const char *look_x86(struct kernel *k, const unsigned char *image)
{
	static char cut[128];
	u64 need;

	k->arch = "x86_64";
	need = (image[HDR_SETUP_SECTS] + 1) * 512 +
	       (u64)le32(image + HDR_SYSSIZE) * 16;
	/* syssize counts paragraphs: the last one need not be full */
	if (need > k->size + 15) {
		snprintf(cut, sizeof(cut), "cut off: %llu bytes of %llu",
			 (unsigned long long)k->size, (unsigned long long)need);
		return cut;
	}
	take_release(k, image, (image[HDR_VERSION_PTR] | image[HDR_VERSION_PTR + 1] << 8) + 0x200);
	return NULL;
}

static const char *look_arm64(struct kernel *k, const unsigned char *image)
{
	static const char banner[] = "Linux version ";
	const unsigned char *at = memmem(image, k->size, banner, strlen(banner));

	k->arch = "aarch64";
	if (!at)
		return "cut off: it does not say which Linux it is";
	take_release(k, image, at - image + strlen(banner));
	return NULL;
}

static const char *look(struct kernel *k, const unsigned char *image)
{
	if (!memcmp(image + HDR_MAGIC, "HdrS", 4))
		return look_x86(k, image);
	if (!memcmp(image + ARM_MAGIC, "ARM\x64", 4))
		return look_arm64(k, image);
	if (!memcmp(image, "MZ", 2) && !memcmp(image + 4, "zimg", 4))
		return "an EFI program that unpacks a kernel: name the Image in it";
	return "not a kernel image (bzImage of x86, Image of arm64): no setup header";
}

static unsigned char *read_image(const struct kernel *k, FILE *f)
{
	unsigned char *image = malloc(k->size);

	if (image && fread(image, k->size, 1, f) == 1)
		return image;
	free(image);
	return NULL;
}

/**
 * kernel_open() - look at a kernel image
 * @path: the image
 * @kconfig: its configuration file, or NULL to look for it
 * @k: what is known of it
 * @why: what is wrong, on failure
 * @size: size of @why in bytes
 *
 * Return: 0, or -EINVAL for what is no kernel that QEMU could boot
 */
int kernel_open(const char *path, const char *kconfig, struct kernel *k,
		char *why, size_t size)
{
	unsigned char *image;
	const char *wrong;
	struct stat st;
	FILE *f;

	memset(k, 0, sizeof(*k));
	k->path = path;
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st)) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		if (f)
			fclose(f);
		return -EINVAL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < HDR_END ||
	    st.st_size > IMAGE_MAX) {
		snprintf(why, size, "%s: not a kernel image: not a file of a kernel's size",
			 path);
		fclose(f);
		return -EINVAL;
	}
	k->size = st.st_size;
	image = read_image(k, f);
	fclose(f);
	if (!image) {
		snprintf(why, size, "%s: cannot be read", path);
		return -EINVAL;
	}
	wrong = look(k, image);
	if (wrong) {
		snprintf(why, size, "%s: %s", path, wrong);
		free(image);
		return -EINVAL;
	}
	identify(k, image);
	if (kconfig && !config_file(k, kconfig)) {
		snprintf(why, size, "%s: not a kernel configuration", kconfig);
		free(image);
		return -EINVAL;
	}
	if (!kconfig)
		find_config(k, image);
	free(image);
	return 0;
}

/**
 * kernel_by_default() - has a kernel KHO on where its command line says nothing?
 * @k: the kernel
 *
 * Return: true if it is known to
 */
bool kernel_by_default(const struct kernel *k)
{
	return kernel_has(k, "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT");
}

/* what stands between a character that is none of a name, and NUL */
static void find_abi(struct kernel *k, const char *vmlinux, size_t n)
{
	static const char mark[] = "kho-v";
	const char *p = vmlinux, *end = vmlinux + n;

	while ((p = memmem(p, end - p, mark, strlen(mark)))) {
		const char *digits = p + strlen(mark);
		size_t len = strnlen(digits, end - digits);

		if (p > vmlinux && !isalnum((unsigned char)p[-1]) && p[-1] != '-' && len &&
		    len < 8 && digits + len < end && strspn(digits, "0123456789") == len) {
			if (*k->abi && strcmp(k->abi, p)) {
				*k->abi = '\0';
				return;
			}
			snprintf(k->abi, sizeof(k->abi), "%s", p);
		}
		p = digits;
	}
}

/**
 * kernel_abi() - which ABI of handover a kernel has
 * @k: the kernel; its image is looked at the first time
 *
 * Return: what its tree is compatible with (abi/kexec_handover.h), "kho-v4"; "" where the
 * image does not say: it has no KHO, or it is packed as nobody here can unpack it
 */
const char *kernel_abi(struct kernel *k)
{
	unsigned char *image;
	char *vmlinux;
	size_t n;
	FILE *f;

	if (k->abi_looked)
		return k->abi;
	k->abi_looked = true;
	f = fopen(k->path, "re");
	image = f ? read_image(k, f) : NULL;
	vmlinux = image ? unpack(k, image, &n) : NULL;
	if (vmlinux)
		find_abi(k, vmlinux, n);
	free(vmlinux);
	free(image);
	if (f)
		fclose(f);
	return k->abi;
}

/**
 * kernel_block_mib() - the largest block of a kernel's page allocator
 * @k: the kernel
 *
 * Scratch is aligned to it (kexec_handover.c, SCRATCH_ALIGNMENT_BYTES).
 *
 * Return: MiB, as the size of its pages makes it (arch/arm64/Kconfig,
 * ARCH_FORCE_MAX_ORDER); that of 4 KiB where it is not known
 */
unsigned int kernel_block_mib(const struct kernel *k)
{
	return kernel_has(k, "CONFIG_ARM64_64K_PAGES") ? 512 :
	       kernel_has(k, "CONFIG_ARM64_16K_PAGES") ? 32 : 4;
}

/**
 * kernel_has() - is a kernel known to be built with an option?
 * @k: the kernel
 * @option: "CONFIG_..."
 *
 * Return: true if its configuration is known and sets it
 */
bool kernel_has(const struct kernel *k, const char *option)
{
	char line[128];

	snprintf(line, sizeof(line), "\n%s=y", option);
	return k->config && strstr(k->config, line);
}

/**
 * kernel_lacks() - is a kernel known to be built without an option?
 * @k: the kernel
 * @option: "CONFIG_..."
 *
 * Return: true if its configuration is known and does not set it
 */
bool kernel_lacks(const struct kernel *k, const char *option)
{
	return k->config && !kernel_has(k, option);
}
