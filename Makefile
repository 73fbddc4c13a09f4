# Thin names over Meson. `make demo` and `make test` are all that a new user needs.
#
# BUILD     where the build lies (build)
# PREFIX    where `make install` puts the program (/usr/local); DESTDIR is put before it
# WERROR    true: a warning is an error (set where CI is set)
# SECONDS   how long `make fuzz` gives each target (60)

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
WERROR ?= $(if $(CI),true,false)
SECONDS ?= 60
PYTHON := /usr/bin/python3

export PYTHONDONTWRITEBYTECODE := 1

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

# The program alone, without its tests.
program: $(BUILD)/build.ninja
	@ninja -C $(BUILD) hauberk

setup:
	@tools/setup.sh build test

setup-build:
	@tools/setup.sh build

$(BUILD)/build.ninja: | setup-build
	meson setup $(BUILD) -Dwerror=$(WERROR) -Dprefix=$(PREFIX)

demo: program
	@$(BUILD)/hauberk demo

bench: program
	@$(BUILD)/hauberk bench path

test: setup all
	tools/run_tests.sh $(BUILD)

# The peers of the end-to-end tests that are no Debian packages; without them their tests skip.
peers:
	tools/peers.sh $(BUILD)/peers

# Everything: the quick tests, then the sanitizers, the other compiler and what is slow.
test-all: test lint test-clang test-asan test-tsan soak

test-clang:
	@tools/setup.sh build test check
	tools/run_variant.sh clang

test-asan:
	@tools/setup.sh build test check
	tools/run_variant.sh asan

test-tsan:
	@tools/setup.sh build test check
	tools/run_variant.sh tsan

soak: setup all
	HBK_SUITE=slow tools/run_tests.sh $(BUILD)

# Constant time under the memory sanitizer, and as far as times tell.
proof: setup all
	meson test -C $(BUILD) --no-rebuild --setup proof --suite proof \
	    --print-errorlogs --verbose

fuzz:
	@tools/setup.sh build test check
	tools/fuzz.sh $(SECONDS)

lint:
	@tools/setup.sh build check
	tools/lint.sh

install: all
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf $(BUILD) build-clang build-asan build-tsan build-fuzz

.PHONY: all program setup setup-build demo bench test peers test-all test-clang test-asan \
         test-tsan soak proof fuzz lint install clean
