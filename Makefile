# The words a person types; the work is done by Meson, Ninja and the scripts in tools/.
#
# Each word first sees to the Debian packages it needs (tools/setup.sh). WERROR=1 makes warnings
# errors and stays on in the build directory until `make clean`. PREFIX and DESTDIR are honoured
# by install. JOBS limits the compilers that run at once.

.DEFAULT_GOAL := all
.NOTPARALLEL:
.PHONY: all demo test test-matrix sim sim-bugs sim-same lint format docs asan tsan fuzz fuzz-merge \
	hostile bench install uninstall clean help

export WERROR PREFIX DESTDIR JOBS PROCESSES ACKS

all: ## build everything into build/
	@tools/build.sh build

demo: all ## start a rack, publish a real file, read it back, check every promise: PROCESSES=4
	@tools/demo.sh build

test: all ## run every test
	@tools/test_report.py build

test-matrix: all ## end to end in every mode: nodes in one process or each its own, all coherences
	@EMB_TEST_MATRIX=1 tools/test_report.py build -- --suite e2e -t 8

sim: all ## whole racks from seeds: SEEDS=n FIRST=n STATE=file; one: SEED=n FAULTS=i,j TRACE=all
	@tools/sim.sh build

sim-bugs: all ## every planted bug must be found by its checker: BUG="name name"
	@tools/sim.sh build --bugs-test

sim-same: all ## the same seeds take the same course in a build without optimisation
	@tools/build.sh build-plain -Doptimization=0 >/dev/null
	@sim/same.sh build/sim/embarcadero-sim build-plain/sim/embarcadero-sim

lint: ## formatting, house rules, public header, Arm cross-compile, warnings
	@tools/lint.sh build

format: ## rewrite the C files with clang-format
	@tools/setup.sh lint
	@tools/c_files.sh | xargs -0 clang-format -i

docs: all ## write docs/configuration.md and the example file from the table of options
	@tools/docs.sh build/src/bin/embarcadero

asan: ## run every test under the address and undefined-behaviour sanitizers
	@tools/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false
	@tools/test_report.py build-asan --slow 10

tsan: ## run every test under the thread sanitizer
	@tools/build.sh build-tsan -Db_sanitize=thread -Db_lundef=false
	@tools/test_report.py build-tsan --slow 10

fuzz: ## feed every parser of outside bytes: SECONDS=n each (10), TARGET="name name"
	@tools/fuzz.sh build-fuzz --seconds "$(or $(SECONDS),10)" --target "$(TARGET)"

fuzz-merge: ## take what fuzzing found new into tests/corpus: TARGET="name name"
	@tools/fuzz.sh build-fuzz --merge --target "$(TARGET)"

hostile: all ## measure how much hostile peers hold up a well-behaved client: ACKS=2
	@tools/hostile.sh build

bench: all ## measure a rack against the limits of this machine, in five minutes: JSON=file
	@tools/bench.sh build $(if $(JSON),--json >"$(JSON)")

install: ## install below PREFIX (default /usr/local), under DESTDIR if set
	@tools/build.sh build install

uninstall: ## remove what the last install put there
	@tools/build.sh build uninstall

clean: ## remove the build directories
	rm -rf build build-asan build-fuzz build-plain build-tsan

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16
