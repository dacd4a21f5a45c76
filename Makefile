# Every way to build, try and check kmsbox. Rust, a C compiler and make are enough for all of it;
# `make test` names what it had to skip for want of another tool.

CARGO = cargo
CC = cc
LD = ld
AR = ar
NM = nm
OBJCOPY = objcopy
OBJDUMP = objdump
CXX = c++
CFLAGS = -O2 -Wall -Wextra -Wpedantic
CXXFLAGS = $(CFLAGS)
INCLUDES = -Iinclude -isystem /usr/include/mariadb/server
# A plugin of MariaDB is a shared library.
PLUGIN = -shared -fPIC -fvisibility=hidden -DMYSQL_DYNAMIC_PLUGIN -lmysqlservices -pthread

# Where cargo puts what it builds, and what is made of it.
TARGET = $(or $(CARGO_TARGET_DIR),target)
PROGRAMS = $(TARGET)/c_examples
DIST = $(TARGET)/dist

# Where `make install` puts things, below DESTDIR if that is set.
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man

# Others spell them small; passed over, they would put things where nobody asked for them.
$(foreach name,prefix bindir libdir includedir mandir,$(if $(findstring command,$(origin $(name))), \
	$(error kmsbox: write $(shell echo $(name) | tr a-z A-Z)=$($(name)), in capitals)))

VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)".*/\1/p;q;}' Cargo.toml)

# A directory changes when a file in it comes or goes.
LIBRARY_SOURCES := $(shell find src build.rs cbindgen.toml Cargo.toml Cargo.lock) abi/symbols.txt packaging/static-library
COMMAND_SOURCES := $(LIBRARY_SOURCES) $(shell find cli/src cli/Cargo.toml)

# For the shell and for a rule, since a path may have spaces in it.
quote = '$(subst ','\'',$(1))'
space := $(subst ,, )
escape = $(subst $(space),\ ,$(1))

# One program of c_examples, linked with the shared library, which it finds again where it was built:
# $(call program,NAME,SOURCES,LIBRARIES)
compiler = $(if $(filter %.cpp,$(1)),$(CXX) -std=c++17 $(CXXFLAGS),$(CC) $(CFLAGS)) $(INCLUDES)
program = release=$$(cd "$(TARGET)/release" && pwd) && mkdir -p "$(PROGRAMS)/$(dir $(1))" && \
	$(call compiler,$(2)) -o "$(PROGRAMS)/$(1)" $(2) \
	-L"$$release" -lkmsbox -Wl,-rpath,"$$release" $(3)
# The same where the compiler finds a header, or two: $(call optional,NAME,SOURCES,LIBRARIES,HEADER,HEADER)
optional = if printf '\043include <%s>\n' $(4) $(5) | $(call compiler,$(2)) \
	-x $(if $(filter %.cpp,$(2)),c++,c) -E - >/dev/null 2>&1; then $(call program,$(1),$(2),$(3)); \
	else rm -f "$(PROGRAMS)/$(1)"; echo 'left out, for want of $(4): $(1)'; fi

.PHONY: help build command install uninstall deb wheel demo examples test torture mutants lint header bench clean
.PHONY: fuzz fuzz-smoke deny sbom reproducible

help:
	@echo 'make demo      build, then watch a data key being made, stored and read back'
	@echo 'make build     the release libraries, libkmsbox.so and libkmsbox.a'
	@echo 'make command   the command, kmsbox'
	@echo 'make install   put them in place: PREFIX, DESTDIR; LIBDIR and others, as docs/installing.md says'
	@echo 'make uninstall remove them from there'
	@echo 'make deb       Debian packages of them'
	@echo 'make wheel     the Python package with the library in it'
	@echo 'make examples  the programs of c_examples'
	@echo 'make test      every test; the last line counts them'
	@echo 'make torture   the tests that take long, about 30 minutes, with their figures'
	@echo 'make mutants   how good the tests are: 200 changes of the code, each of which one must notice; hours'
	@echo 'make lint      formatting and lints'
	@echo 'make header    refresh include/kmsbox.h from the sources'
	@echo 'make bench     what a data key costs, in time and in instructions, and what a large keystore does'
	@echo 'make fuzz      run every fuzz target for FUZZ_SECONDS; make fuzz-smoke: a few seconds each'
	@echo 'make deny      hold what kmsbox depends on to deny.toml, with cargo-deny'
	@echo 'make sbom      what the library is made of, as CycloneDX, in $(TARGET)/kmsbox.cdx.json'
	@echo 'make reproducible  build twice and compare'
	@echo 'make clean     remove everything that was built'

# What is installed is made here from what cargo builds, and only where that is not up to date: root, who
# may have no cargo, can install what somebody else has built.
LIBRARY = $(DIST)/libkmsbox.a
COMMAND = $(DIST)/kmsbox

# $(call cargo_build,NAME,ARGUMENTS): what changes meanwhile is newer than what is built.
define cargo_build
	@command -v $(firstword $(CARGO)) >/dev/null || { echo 'kmsbox: there is no cargo here, and what is' \
		'needed is not built or is older than its sources; where cargo is: make build command' >&2; exit 1; }
	@mkdir -p "$(DIST)" && : >"$(DIST)/.$(1)"
	@$(CARGO) build --release --locked --target-dir "$(TARGET)" $(2)
endef

# A program that is linked with -lkmsbox asks for the name with the number when it runs.
define build_library
	$(call cargo_build,library)
	@soname=$$($(OBJDUMP) -p "$(TARGET)/release/libkmsbox.so" | sed -n 's/.*SONAME *//p') && test -n "$$soname" && \
		ln -sf libkmsbox.so "$(TARGET)/release/$$soname" && echo "$$soname" >"$(DIST)/soname"
	@$(call put,release/libkmsbox.so)
	@LD='$(LD)' OBJCOPY='$(OBJCOPY)' AR='$(AR)' NM='$(NM)' packaging/static-library \
		"$(TARGET)/release/libkmsbox.a" abi/symbols.txt "$(LIBRARY)"
	@touch -r "$(DIST)/.library" "$(LIBRARY)"
endef

define build_command
	$(call cargo_build,command,-p kmsbox-cli)
	@new="$(DIST)/.man1.$$$$" && "$(TARGET)/release/kmsbox" man "$$new" && \
		if diff -r "$$new" "$(DIST)/man1" >/dev/null 2>&1; then rm -rf "$$new"; \
		else rm -rf "$(DIST)/man1" && mv "$$new" "$(DIST)/man1"; fi
	@$(call put,release/kmsbox) && touch -r "$(DIST)/.command" "$(COMMAND)"
endef

# Never written over: somebody may be running it, or installing it meanwhile.
put = new="$(DIST)/.$(notdir $(1)).$$$$" && cp "$(TARGET)/$(1)" "$$new" && mv -f "$$new" "$(DIST)/$(notdir $(1))"

build:
	$(build_library)

command:
	$(build_command)

$(call escape,$(LIBRARY)): $(LIBRARY_SOURCES)
	$(build_library)

$(call escape,$(COMMAND)): $(COMMAND_SOURCES)
	$(build_command)

install: $(call escape,$(LIBRARY)) $(call escape,$(COMMAND))
	@$(in_place) packaging/install install "$(DIST)"

uninstall:
	@$(in_place) packaging/install uninstall

in_place = VERSION='$(VERSION)' DESTDIR=$(call quote,$(DESTDIR)) PREFIX=$(call quote,$(PREFIX)) \
	BINDIR=$(call quote,$(BINDIR)) LIBDIR=$(call quote,$(LIBDIR)) \
	INCLUDEDIR=$(call quote,$(INCLUDEDIR)) MANDIR=$(call quote,$(MANDIR))

# Whose name stands in the packages: make deb MAINTAINER='Name <address>'
MAINTAINER = kmsbox developers <kmsbox@packages.invalid>

deb: $(call escape,$(LIBRARY)) $(call escape,$(COMMAND))
	@VERSION='$(VERSION)' MAINTAINER=$(call quote,$(MAINTAINER)) CC='$(CC)' packaging/deb/build "$(DIST)" "$(TARGET)/deb"

wheel: $(call escape,$(LIBRARY))
	@bindings/python/build-wheel --library "$(DIST)/libkmsbox.so" --out "$(TARGET)/wheel"

demo: $(call escape,$(LIBRARY))
	@$(call program,demo,c_examples/demo.c)
	@rm -rf "$(TARGET)/demo" && mkdir -m 700 "$(TARGET)/demo"
	@KMSBOX_DEMO_BIN="$(PROGRAMS)/demo" KMSBOX_DEMO_DIR="$(TARGET)/demo" sh c_examples/demo.sh

# What needs more than kmsbox is built where the headers for that are.
examples: $(call escape,$(LIBRARY))
	@$(call program,data_key,c_examples/data_key.c)
	@$(call program,demo,c_examples/demo.c)
	@$(call optional,encrypt_file,c_examples/encrypt_file.c,-lcrypto,openssl/evp.h)
	@$(call optional,partitions,c_examples/partitions.c,-lcrypto,openssl/evp.h)
	@$(call optional,sqlcipher,c_examples/sqlcipher.c,-lsqlcipher,sqlcipher/sqlite3.h)
	@$(call optional,data_key_cpp,c_examples/data_key.cpp,,string_view)
	@$(call optional,rocksdb_example,c_examples/rocksdb/*.cpp,-lrocksdb -lcrypto,rocksdb/env_encryption.h,openssl/evp.h)
	@$(call optional,mariadb/kmsbox.so,c_examples/mariadb/*.c,$(PLUGIN),mysql/plugin_encryption.h)
	@echo 'built in $(PROGRAMS):' && cd "$(PROGRAMS)" && find . -type f | sort

test:
	@tests/run

torture:
	@tests/torture

mutants:
	@tests/mutants/run

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

header:
	KMSBOX_UPDATE_HEADER=1 $(CARGO) build --locked

bench:
	$(CARGO) bench --locked --bench '*'

# How long each target runs.
FUZZ_SECONDS = 3600

fuzz:
	@fuzz/run all $(FUZZ_SECONDS)

fuzz-smoke:
	@fuzz/run smoke

deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo 'kmsbox: there is no cargo-deny here:' \
		'cargo install cargo-deny --locked' >&2; exit 1; }
	$(CARGO) deny --locked check bans licenses sources
	$(CARGO) deny --locked check advisories

sbom:
	@mkdir -p "$(TARGET)" && packaging/sbom >"$(TARGET)/kmsbox.cdx.json" && echo "$(TARGET)/kmsbox.cdx.json"

reproducible:
	@CARGO='$(CARGO)' packaging/reproducible

clean:
	$(CARGO) clean
