//go:build !race && !asan && !msan

package kmsbox

const instrumented = false
