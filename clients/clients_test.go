// Package clients_test runs the tests of the clients in other languages: their own,
// with a server of package megaki, and scenarios of package conformance.
package clients_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"mkd/megaki/conformance"
)

// client is a client in another language.
type client struct {
	folder  string
	tests   [][]string          // the commands that run its tests
	program conformance.Command // for package conformance
}

// python returns an interpreter that has the package cryptography.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import cryptography").Run() == nil {
			return name
		}
	}
	t.Fatal("Python's package cryptography is missing: install it with 'apt-get install python3-cryptography'")
	return ""
}

func pythonClient(t *testing.T) client {
	exe := python(t)
	return client{
		folder:  "python",
		tests:   [][]string{{exe, "-B", "-m", "unittest", "discover", "-s", "tests"}},
		program: conformance.Command{exe, "-B", "python/tests/conformance.py"},
	}
}

func jsClient(t *testing.T) client {
	needs(t, "node", "nodejs")
	return client{
		folder:  "js",
		tests:   [][]string{{"node", "--test", "test/vectors.test.js", "test/http.test.js", "test/received.test.js", "test/client.test.js"}},
		program: conformance.Command{"node", "js/test/conformance.js"},
	}
}

func phpClient(t *testing.T) client {
	needs(t, "php", "php-cli")
	needs(t, "phpunit", "phpunit")
	needs(t, "phpcs", "php-codesniffer")
	return client{
		folder: "php",
		tests: [][]string{
			{"phpunit", "--no-configuration", "--do-not-cache-result", "--fail-on-warning", "tests"},
			{"phpcs", "-s", "--standard=../../php/arcangelo/phpcs.xml", "--extensions=php", "src", "tests"},
		},
		program: conformance.Command{"php", "php/tests/conformance.php"},
	}
}

func needs(t *testing.T, command, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		t.Fatalf("%s is missing: install it with 'apt-get install %s'", command, pkg)
	}
}

func TestPython(t *testing.T) { testClient(t, pythonClient(t)) }
func TestPHP(t *testing.T)    { testClient(t, phpClient(t)) }
func TestNode(t *testing.T)   { testClient(t, jsClient(t)) }

// quick are the scenarios that are played each time. The long tests play all.
var quick = []string{"handshake", "resume-refused", "closed-while-idle", "message-lost", "syn-ack-mac", "refused-version-both", "response-replayed", "two-responses"}

func testClient(t *testing.T, c client) {
	t.Parallel()
	s := startServer(t)
	for _, args := range c.tests {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = c.folder
		cmd.Env = append(os.Environ(), "MEGAKI_SERVER="+s.address, "MEGAKI_KEY="+s.keyFile)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	scenarios, err := conformance.Find(quick...)
	if err != nil {
		t.Fatal(err)
	}
	conforms(t, c, scenarios)
}

func conforms(t *testing.T, c client, scenarios []conformance.Scenario) {
	t.Helper()
	results, err := conformance.Run(t.Context(), c.program, conformance.Options{Scenarios: scenarios})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Scenario.Name, r.Err)
		}
	}
}
