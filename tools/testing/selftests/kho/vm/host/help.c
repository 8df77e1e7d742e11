// SPDX-License-Identifier: GPL-2.0-only
/*
 * help.c - khotest's commands, and what is to be known of them, told once
 *
 * Help on the terminal, the manual page and the shell's completion are made of the same
 * texts.
 */
#include <stdio.h>
#include <string.h>

#include "host.h"

/**
 * struct command - a command of khotest
 * @name: what a person types
 * @summary: what it does, in a line
 * @synopsis: its arguments, a line for each form
 * @text: what is to be known of it
 * @options: "  --option ARGUMENT   what it is for", lines; "" if there are none
 * @run: does it, with the arguments behind its name
 */
static const struct command {
	const char *name, *summary, *synopsis, *text, *options;
	int (*run)(int argc, char **argv);
} commands[] = {
	{
		"run", "run scenarios in QEMU and tell what was found",
		"--kernel IMAGE [option]... [NAME]...\n"
		"--here [--kexec-this-machine] [option]... [NAME]...\n",
		"Boots the kernel in QEMU once for each scenario and hands over from kernel to\n"
		"kernel there; nothing is kexeced on this machine.  NAME is a scenario's name or\n"
		"a part of it as the dots divide it (\"conformance\", \"chain\"); without NAME all run\n"
		"that need not be asked for.\n"
		"\n"
		"With --here the kernel that runs is looked at instead, on the machine as it is.\n"
		"With --kexec-this-machine, too, it is kexeced, again and again, in order, with\n"
		"its own command line: a unit of systemd (kho-suite.service) goes on after each\n"
		"jump and removes itself at the end.  All that is known is on disk before a jump: a\n"
		"machine that does not come back leaves a MISS.\n"
		"\n"
		"KTAP comes on stdout, progress and a summary on stderr, results.json and the\n"
		"consoles in the results directory.  KSFT_MACHINE_SLOW=yes stretches deadlines.\n"
		"Exit status: 0 pass, 1 fail, 2 could not start, 4 nothing could run.\n",
		"  --kernel IMAGE        kernel under test (bzImage)\n"
		"  --kconfig FILE        its configuration (else looked for beside it and in it)\n"
		"  --also NAME=IMAGE     a kernel that some scenarios go to or come from: previous,\n"
		"                        nokho, variant, debug (see README.md)\n"
		"  --module [NAME=]FILE  kho_producer.ko, built for it or for one of the others\n"
		"  --profile NAME        without NAMEs: quick, or full, which is all, with chains of\n"
		"                        100 kernels, or soak, which is the chains alone, with 1000;\n"
		"                        without a profile all, with chains of 5\n"
		"  --results DIR         directory to make and to leave all in (results/TIME)\n"
		"  --generations N       instead of what the scenario declares\n"
		"  --for TIME            chains go on for so long: 90s, 30m, 8h\n"
		"  --jobs N              machines side by side (one for each CPU)\n"
		"  --append TEXT         more for every kernel command line\n"
		"  --accel NAME          QEMU's accelerator (tcg)\n"
		"  --known-issues FILE   known issues (known-issues.json beside khotest)\n"
		"  --programs DIR        the suite's programs (beside khotest)\n"
		"  --sysroot DIR         for machines of another architecture: where programs for it\n"
		"                        (stress-ng, kexec) and their libraries are\n"
		"  --here                not in QEMU, but on this machine\n"
		"  --kexec-this-machine  which may be kexeced\n"
		"  --initrd FILE         for the kernel that is kexeced to here; it, and --kernel, are\n"
		"                        else those in /boot of the release that runs\n",
		run_command,
	}, {
		"shrink", "find the least of a scenario that still fails",
		"--kernel IMAGE [option of run]... NAME\n",
		"Runs a scenario that fails again and again, to find the fewest generations and\n"
		"operations that still fail, and prints the command that repeats it.\n"
		"Exit status: 0 found, 2 it could not be repeated, 4 it does not fail.\n",
		"",
		shrink,
	}, {
		"qualify", "say whether a distribution can ship a kernel with KHO",
		"--kernel IMAGE [--config FILE] [--modules DIR] [option]... [NAME]...\n"
		"--deb PACKAGE... [option]... [NAME]...\n",
		"Tells which options a kernel lacks, what the suite finds, and a verdict with its\n"
		"reasons, on one page, which is DIR/qualification.txt as well.\n"
		"Exit status: 0 qualified, with known issues or without, 1 not qualified, 2 the\n"
		"kernel cannot be read, 4 it cannot be judged.\n",
		"  --kernel IMAGE        the kernel (bzImage), unpacked by hand\n"
		"  --config FILE         its configuration\n"
		"  --deb PACKAGE         a package that has a part of it, image or configuration;\n"
		"                        once for each\n"
		"  --modules DIR         its modules: kho_producer.ko, the test producer, is taken from\n"
		"                        there; other options are those of run\n"
		"  --results DIR         directory to make and to leave all in (qualification-TIME)\n",
		qualify,
	}, {
		"matrix", "tell which kernels hand over to which",
		"[option of run]... OLD[,PRODUCER]... -- NEW[,PRODUCER]...\n",
		"Each old kernel hands over to each new one and back, in machines of QEMU.  Where\n"
		"their ABIs differ the handover must be refused, and the boot go on.  PRODUCER is\n"
		"kho_producer.ko, built for that kernel: without it the in-kernel interface is left\n"
		"out.  The table comes on stdout, and is DIR/matrix.txt and DIR/matrix.html, with\n"
		"each pair's own results beside it.\n"
		"Exit status: 0 pass, 1 fail, 2 could not start, 4 nothing could run.\n",
		"  --results DIR         directory to make and to leave all in (matrix-TIME); other\n"
		"                        options are those of run that have a value\n",
		matrix_run,
	}, {
		"list", "list scenarios, programs, or what is checked",
		"[--coverage|--programs]\n",
		"Prints each scenario with what it is.  It fails, with --coverage, if a promise is\n"
		"neither checked nor left out for a reason.\n",
		"  --coverage            each promise, with the checks that are about it\n"
		"  --programs            the programs that run in each scenario\n",
		list_command,
	}, {
		"report", "tell what a run found out",
		"[--html FILE [--base RESULTS]] RESULTS\n",
		"Prints the summary of a run again: RESULTS is a results directory, or its\n"
		"results.json.  Exit status: that of the run; 2 if it cannot be read, or the page\n"
		"cannot be written.\n",
		"  --html FILE           write a page, too, that a browser opens: failures with their\n"
		"                        evidence, known issues, maps of memory, chains, histograms\n"
		"                        and curves\n"
		"  --base RESULTS        a run that this one is compared with there: checks, and\n"
		"                        series as khotest compare has them\n",
		report_command,
	}, {
		"compare", "tell what got worse from one run to another, or in a row of runs",
		"[--threshold PERCENT] [--all] BASE NEW\n"
		"[--threshold PERCENT] --history DIR\n",
		"BASE and NEW are results directories, or their results.json.  What the scenarios\n"
		"perf.* measured is compared, series by series, the worst first.  Counted series\n"
		"(instructions, bytes, pages) are worse beyond 0.5 %, timed ones beyond 5 % where\n"
		"ranks say that it is no chance.  Times are corrected by the reference loop's, and\n"
		"what the machine drifted by meanwhile is added to the limit.\n"
		"Exit status: 0 nothing is worse, 1 something is, 2 cannot be compared.\n",
		"  --threshold PERCENT   instead of both limits\n"
		"  --all                 what is the same, too\n"
		"  --history DIR         each directory in DIR is a run, by their times: tell where\n"
		"                        a series changed most\n",
		compare,
	}, {
		"kcidb", "print results as KCIDB I/O v5.3",
		"[--origin NAME] [--url URL] RESULTS\n",
		"The kernel as checkout and build, each check as a test, each measurement as a\n"
		"test with a number, known issues as issues with their incidents.  Ids are the\n"
		"same for the same check of the same image.  Nothing is sent anywhere.\n"
		"Exit status: 0 printed, 2 RESULTS cannot be read.\n",
		"  --origin NAME         who submits (kho_suite)\n"
		"  --url URL             where others can read the results directory (file://)\n",
		export_kcidb,
	}, {
		"junit", "print results as JUnit XML",
		"RESULTS\n",
		"A suite for each scenario, a case for each check.  A known issue is a skipped\n"
		"case with its name.  Exit status: 0 printed, 2 RESULTS cannot be read.\n",
		"",
		export_junit,
	}, {
		"decode", "print a blob of debugfs, or the preserved-memory map",
		"FILE...\n"
		"--map\n",
		"Prints a blob (fdt, sub_fdts/*), or the map of the kernel that runs here, and\n"
		"tells what is wrong with it.\n"
		"Exit status: 0 in order, 1 something is wrong, 2 cannot be read.\n",
		"  --map                 of the kernel that runs here\n",
		decode_command,
	}, {
		"help", "tell what a command does",
		"[COMMAND]\n"
		"--man\n"
		"--completion\n",
		"Without a command it tells which there are.\n",
		"  --man                 the manual page, as man reads it\n"
		"  --completion          completion for bash\n",
		help,
	},
};

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* each form of a command, behind @first and then @next */
static void put_synopsis(const struct command *c, const char *first, const char *next, FILE *f)
{
	const char *line = c->synopsis;

	for (; *line; line += strcspn(line, "\n") + 1) {
		fprintf(f, "%skhotest %s %.*s\n", line == c->synopsis ? first : next, c->name,
			(int)strcspn(line, "\n"), line);
	}
}

/**
 * help_usage() - tell how a command is used
 * @name: the command
 * @f: to whom
 */
void help_usage(const char *name, FILE *f)
{
	const struct command *c = command_named(name);

	put_synopsis(c, "usage: ", "       ", f);
	fprintf(f, "\n%s", c->text);
	if (*c->options)
		fprintf(f, "\n%s", c->options);
}

static void help_commands(FILE *f)
{
	fputs("usage: khotest COMMAND [option]... [argument]...\n\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\nkhotest help COMMAND, or khotest COMMAND --help, tells more.\n", f);
}

/* text as roff has it: no line is a request, no dash is a hyphen */
static void put_roff(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool begins = !i || s[i - 1] == '\n';

		if (begins && (s[i] == '.' || s[i] == '\''))
			fputs("\\&", stdout);
		if (s[i] == '-')
			fputs("\\-", stdout);
		else if (s[i] == '\\')
			fputs("\\e", stdout);
		else if (begins && s[i] == '\n')
			fputs(".P\n", stdout);
		else
			putchar(s[i]);
	}
}

/* "  --option ARGUMENT   what it is for", and lines that go on with it */
static void man_options(const char *s)
{
	for (; *s; s += strcspn(s, "\n") + 1) {
		size_t len = strcspn(s, "\n"), head, skip = strspn(s, " ");

		if (skip == 2) {
			const char *gap = strstr(s + skip, "  ");

			head = gap - s - skip;
			fputs(".TP\n.B ", stdout);
			put_roff(s + skip, head);
			putchar('\n');
			skip += head + strspn(gap, " ");
		}
		put_roff(s + skip, len - skip);
		putchar('\n');
	}
}

static void man(void)
{
	puts(".TH KHOTEST 1 \"\" \"KHO test suite\" \"User Commands\"\n"
	     ".SH NAME\nkhotest \\- conformance and stress tests of Linux Kexec HandOver\n"
	     ".SH SYNOPSIS\n.B khotest\n.I COMMAND\n[option]... [argument]...\n"
	     ".SH DESCRIPTION\n"
	     "Kexec HandOver hands memory and state of a kernel to its successor across kexec.\n"
	     "khotest holds kernels to what their documents promise of it, in machines of QEMU,\n"
	     "under load, over many kexecs, and measures what it costs.\n"
	     ".SH COMMANDS");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		printf(".SS khotest %s \\- %s\n.nf\n", c->name, c->summary);
		for (const char *l = c->synopsis; *l; l += strcspn(l, "\n") + 1) {
			printf("khotest %s ", c->name);
			put_roff(l, strcspn(l, "\n"));
			putchar('\n');
		}
		puts(".fi\n.P");
		put_roff(c->text, strlen(c->text));
		man_options(c->options);
	}
}

/* options of a command, as they stand in its text */
static void put_options(const struct command *c)
{
	for (const char *p = c->options; (p = strstr(p, "  --")); p++) {
		if (p != c->options && p[-1] != '\n')
			continue;
		printf(" %.*s", (int)strcspn(p + 2, "\n "), p + 2);
	}
}

static void for_bash(void)
{
	puts("# bash completion for khotest\n"
	     "_khotest() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words");
	printf("\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("%s%s", i ? " " : "", commands[i].name);
	puts("\"\n\telse\n\t\tcase ${COMP_WORDS[1]} in");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		printf("\t\t%s) words=\"--help", commands[i].name);
		put_options(&commands[i]);
		puts("\" ;;");
	}
	puts("\t\tesac\n"
	     "\t\tcase ${COMP_WORDS[1]} in\n"
	     "\t\tshrink|run|qualify) [[ $cur == -* ]] || words=$(khotest list 2>/dev/null | cut -d\" \" -f1) ;;\n"
	     "\t\tesac\n"
	     "\tfi\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "}\n"
	     "complete -o default -F _khotest khotest");
}

/**
 * command_run() - do what was asked for
 * @argc: arguments of the program
 * @argv: the arguments
 *
 * Return: exit status
 */
int command_run(int argc, char **argv)
{
	const struct command *c = argc > 1 ? command_named(argv[1]) : NULL;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		help_commands(stdout);
		return EX_PASS;
	}
	if (!c) {
		if (argc > 1)
			complain("there is no command %s", argv[1]);
		help_commands(stderr);
		return EX_CANNOT;
	}
	if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
		help_usage(c->name, stdout);
		return EX_PASS;
	}
	return c->run(argc - 2, argv + 2);
}

/**
 * help() - the command "khotest help"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int help(int argc, char **argv)
{
	if (argc == 1 && !strcmp(argv[0], "--man")) {
		man();
	} else if (argc == 1 && !strcmp(argv[0], "--completion")) {
		for_bash();
	} else if (argc == 1 && command_named(argv[0])) {
		help_usage(argv[0], stdout);
	} else if (!argc) {
		help_commands(stdout);
	} else {
		complain("there is no command %s", argv[0]);
		help_commands(stderr);
		return EX_CANNOT;
	}
	return EX_PASS;
}
