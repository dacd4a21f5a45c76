//go:build kmsbox_static

package kmsbox

// The archive stands before the -lkmsbox that pkg-config names, and has everything: the linker then sees no
// need for the shared library.

// #cgo pkg-config: --static kmsbox
// #cgo LDFLAGS: -Wl,--as-needed -l:libkmsbox.a
import "C"
