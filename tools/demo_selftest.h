/* Proves that the demonstration's checks can fail. Called once, by the test. */
#ifndef TOOLS_DEMO_SELFTEST_H
#define TOOLS_DEMO_SELFTEST_H

/* Feeds right and wrong messages and batches; 0 if every planted fault was found by the promise
   that it breaks and nothing was found where nothing is wrong, else 1. */
int demo_selftest(void);

#endif
