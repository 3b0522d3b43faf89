package php

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed arcangelo/*.php
var arcangelo embed.FS

// loopFiles are the files of Arcangelo in the order in which they run.
var loopFiles = [...]string{
	"Userspace", "Wire", "Worker", "RawCall", "HttpCall", "ResponseWriter", "FileRange", "Output", "ClientGone", "State",
	"Globals", "Cookies", "Session", "Request", "Upload", "Response", "psr", "symfony", "finish", "Functions", "main",
}

// filePrologue is the beginning of each of them.
const filePrologue = "<?php\n\ndeclare(strict_types=1);\n\n"

// loopNamespace declares the namespace of those that have one.
const loopNamespace = "namespace arca"

// replacedFunctions are functions of PHP that Functions.php has in their place.
const replacedFunctions = "flush,ob_get_level,connection_aborted,connection_status"

// loopCode returns Arcangelo as one file.
func loopCode() ([]byte, error) {
	var code bytes.Buffer
	code.WriteString(filePrologue)
	for _, name := range loopFiles {
		text, err := arcangelo.ReadFile("arcangelo/" + name + ".php")
		if err != nil {
			return nil, err
		}
		body, ok := strings.CutPrefix(string(text), filePrologue)
		if !ok {
			return nil, fmt.Errorf("%s.php doesn't begin with the common prologue", name)
		}
		// One file with several namespaces has them in braces.
		namespace := "namespace"
		if rest, ok := strings.CutPrefix(body, loopNamespace+";\n"); ok {
			namespace, body = loopNamespace, rest
		}
		code.WriteString(namespace + " {\n" + body + "}\n")
	}
	return code.Bytes(), nil
}

// openLoop returns Arcangelo as a file that PHP can open by its descriptor. The
// file has no name, so that nothing is left however the daemon ends.
func openLoop() (*os.File, error) {
	code, err := loopCode()
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
	return os.Open(path)
}
