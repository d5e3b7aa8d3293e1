/* The part of the self-test that plants faults in stores. Called once, by demo_selftest. */
#ifndef TOOLS_DEMO_SELFTEST_DISK_H
#define TOOLS_DEMO_SELFTEST_DISK_H

/* How many faults were missed, or found where none is; *planted is how many there were. */
unsigned selftest_disk(unsigned *planted);

#endif
