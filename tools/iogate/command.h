/* SPDX-License-Identifier: MIT */
/*
 * What main() and the subcommands agree on: exit codes, and one function per subcommand.
 *
 * A subcommand gets argv[0] = its own name, prints its result on stdout and everything else on stderr.
 */
#ifndef IOGATE_TOOL_COMMAND_H
#define IOGATE_TOOL_COMMAND_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FOUND = 1,   /* a violation, a limit that was reached, or an error in the input */
	EXIT_USAGE = 2,   /* the command line asks for something that does not exist */
	EXIT_LACKING = 3, /* the machine lacks something */
};

/* Version of the JSON reports: grows when a key changes its meaning or goes away. */
#define JSON_SCHEMA 1

int command_stress(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_study(int argc, char **argv);

#endif
