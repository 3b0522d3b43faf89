//go:build !openssl || !cgo

package cbc

const has = false
