//go:build !kmsbox_static

package kmsbox

// #cgo pkg-config: kmsbox
import "C"
