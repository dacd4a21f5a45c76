# Every way to build, try and check kmsbox. Rust, a C compiler and make are enough for all of it;
# `make test` names what it had to skip for want of another tool.

CARGO = cargo
CC = cc
CFLAGS = -O2 -Wall -Wextra -Wpedantic

# Where cargo puts what it builds, and programs of ours beside it. Expanded by the shell.
TARGET = $${CARGO_TARGET_DIR:-target}
PROGRAMS = $(TARGET)/c_examples

# One program of c_examples, linked with the shared library, which it finds again where it was built:
# $(call program,NAME,LIBRARIES)
program = release=$$(cd "$(TARGET)/release" && pwd) && mkdir -p "$(PROGRAMS)" && \
	$(CC) $(CFLAGS) -Iinclude -o "$(PROGRAMS)/$(1)" c_examples/$(1).c \
	-L"$$release" -lkmsbox -Wl,-rpath,"$$release" $(2)

.PHONY: help build command demo examples test lint header bench clean

help:
	@echo 'make demo      build, then watch a data key being made, stored and read back'
	@echo 'make build     the release libraries, libkmsbox.so and libkmsbox.a'
	@echo 'make command   the command, kmsbox'
	@echo 'make examples  the programs of c_examples'
	@echo 'make test      every test; the last line counts them'
	@echo 'make lint      formatting and lints'
	@echo 'make header    refresh include/kmsbox.h from the sources'
	@echo 'make bench     what a data key costs, in time and in instructions, and what a large keystore does'
	@echo 'make clean     remove everything that was built'

# A program that is linked with -lkmsbox asks for the name with the number when it runs.
build:
	@$(CARGO) build --release --locked
	@ln -sf libkmsbox.so "$(TARGET)/release/libkmsbox.so.0"

# The command, target/release/kmsbox.
command:
	@$(CARGO) build --release --locked -p kmsbox-cli

demo: build
	@$(call program,demo)
	@rm -rf "$(TARGET)/demo" && mkdir -m 700 "$(TARGET)/demo"
	@KMSBOX_DEMO_BIN="$(PROGRAMS)/demo" KMSBOX_DEMO_DIR="$(TARGET)/demo" sh c_examples/demo.sh

# Two of them encrypt data by OpenSSL's libcrypto, which not every machine has the headers of.
examples: build
	@$(call program,data_key)
	@$(call program,demo)
	@if echo '#include <openssl/evp.h>' | $(CC) -E - >/dev/null 2>&1; then \
		$(call program,encrypt_file,-lcrypto) && $(call program,partitions,-lcrypto); \
	else \
		rm -f "$(PROGRAMS)/encrypt_file" "$(PROGRAMS)/partitions"; \
		echo 'left out, for want of the headers of libcrypto: encrypt_file, partitions'; \
	fi
	@echo "built in $(PROGRAMS):" && ls "$(PROGRAMS)"

test:
	@tests/run

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

header:
	KMSBOX_UPDATE_HEADER=1 $(CARGO) build --locked

bench:
	$(CARGO) bench --locked --bench '*'

clean:
	$(CARGO) clean
