# SPDX-License-Identifier: MIT
# The front door. Meson does the work; this installs what is missing first, and needs no more than make, git and a compiler to begin with.
#
#   make           release build: build/iogate, the libraries
#   make stress    the same, then "build/iogate stress"; STRESS="-s 1T" for other arguments
#   make check     every test; the last line counts them
#   make judge     the drivers against QEMU's models of the hardware; what QEMU cannot be had for is skipped and counted
#   make bench     "build/iogate bench"; BENCH=...
#   make install   PREFIX (default /usr/local), LIBDIR, DESTDIR
#   make clean     remove the build directory

BUILD ?= build
PREFIX ?= /usr/local
STRESS ?=
# More arguments of "meson setup".
SETUP ?=
BENCH ?=
# Where this system's linker looks for libraries; Meson knows it only where Debian's development scripts are installed.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR ?= $(if $(MULTIARCH),lib/$(MULTIARCH))

setup = meson setup $(BUILD) --prefix=$(PREFIX) $(if $(LIBDIR),--libdir=$(LIBDIR)) -Ddebug=false -Dtools=enabled $(SETUP)

.PHONY: all stress check judge bench install clean
.DEFAULT_GOAL := all

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

# Reconfigured by itself when a meson.build changes, so this runs once.
$(BUILD)/build.ninja:
	@scripts/setup build
	$(setup)

stress: all
	$(BUILD)/iogate stress $(STRESS)

check:
	@scripts/setup check
	@test -e $(BUILD)/build.ninja || $(setup) -Dtests=enabled -Dquick_tests=true
	@meson configure $(BUILD) -Dtests=enabled -Dtools=enabled -Dquick_tests=true
	@scripts/check $(BUILD) --no-suite judge --no-suite model-large --no-suite mutants --no-suite traces-all --no-suite whole

# Judges whose QEMU could not be installed skip, and say so.
judge:
	@scripts/setup check
	@scripts/judge-setup $(BUILD)/judge || :
	@test -e $(BUILD)/build.ninja || $(setup) -Dtests=enabled -Dquick_tests=true
	@meson configure $(BUILD) -Dtests=enabled -Dtools=enabled -Dquick_tests=true
	@scripts/check $(BUILD) --suite judge

bench: all
	$(BUILD)/iogate bench $(BENCH)

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
