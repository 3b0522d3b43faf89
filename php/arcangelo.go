package php

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed arcangelo/*.php
var arcangelo embed.FS

// loopFiles are the files of Arcangelo in the order in which they run.
var loopFiles = [...]string{
	"Userspace", "Wire", "Requirements", "Worker", "RawCall", "HttpCall", "ResponseWriter", "FileRange", "Output", "ClientGone", "State", "Mbstring",
	"Globals", "Form", "Cookies", "Session", "Request", "Upload", "Response", "psr", "symfony", "Snapshot", "laravel", "LaravelConnections", "finish", "stream", "Functions",
}

// devFiles are those that only a Pool with Dev has, and leakFiles those that only one
// with DetectLeaks has. They come before main.
var (
	devFiles  = [...]string{"DumpEnds", "Dev", "dump"}
	leakFiles = [...]string{"Leaks"}
)

// filePrologue is the beginning of each of them.
const filePrologue = "<?php\n\ndeclare(strict_types=1);\n\n"

// loopNamespace declares the namespace of those that have one.
const loopNamespace = "namespace arca"

// replacedFunctions are functions of PHP that Functions.php has in their place.
const replacedFunctions = "flush,ob_get_level,connection_aborted,connection_status"

// loopCode returns Arcangelo as one file.
func loopCode(dev, detectLeaks bool) ([]byte, error) {
	var code bytes.Buffer
	code.WriteString(filePrologue)
	files := loopFiles[:]
	if dev {
		files = slices.Concat(files, devFiles[:])
	}
	if detectLeaks {
		files = slices.Concat(files, leakFiles[:])
	}
	for _, name := range files {
		if err := appendFile(&code, name); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&code, "%s {\nWorker::$dev = %t;\nWorker::$detectsLeaks = %t;\n}\n", loopNamespace, dev, detectLeaks)
	if err := appendFile(&code, "main"); err != nil {
		return nil, err
	}
	return code.Bytes(), nil
}

// appendFile appends a file of Arcangelo as a block with its namespace.
func appendFile(code *bytes.Buffer, name string) error {
	text, err := arcangelo.ReadFile("arcangelo/" + name + ".php")
	if err != nil {
		return err
	}
	body, ok := strings.CutPrefix(string(text), filePrologue)
	if !ok {
		return fmt.Errorf("%s.php doesn't begin with the common prologue", name)
	}
	// PHP keeps what it has found of a class that code names, and looks self up each time.
	// The class of a file has its name.
	body = strings.ReplaceAll(body, "self::", name+"::")
	// One file with several namespaces has them in braces.
	namespace := "namespace"
	if rest, ok := strings.CutPrefix(body, loopNamespace+";\n"); ok {
		namespace, body = loopNamespace, rest
	}
	code.WriteString(namespace + " {\n" + body + "}\n")
	return nil
}

// openLoop returns Arcangelo as a file that PHP can open by its descriptor. The
// file has no name, so that nothing is left however the daemon ends.
func openLoop(dev, detectLeaks bool) (*os.File, error) {
	code, err := loopCode(dev, detectLeaks)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mkd-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "arcangelo.php") // as it appears in traces
	if err := os.WriteFile(path, code, 0o600); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o444); err != nil { // the workers' user opens it; the umask may deny that
		return nil, err
	}
	// OPcache takes no file that was changed in the last seconds, and then no JIT
	// compiles it (opcache.file_update_protection).
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		return nil, err
	}
	return os.Open(path)
}
