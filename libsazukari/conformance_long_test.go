//go:build long

package libsazukari_test

import (
	"path/filepath"
	"testing"

	"mkd/megaki/conformance"
)

// TestLongConformance plays all scenarios to the library under sanitizers, to its
// Java binding, and to the client in plain Java.
func TestLongConformance(t *testing.T) {
	dir, jdk := programs(t), java(t)
	jvm := conformance.Command{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-Djava.library.path=" + jdk, "-cp"}
	classes := filepath.Join(jdk, "test-classes") + ":"
	for name, client := range map[string]conformance.Command{
		"C":    {filepath.Join(dir, "conformance")},
		"JNI":  append(jvm[:len(jvm):len(jvm)], classes+filepath.Join(jdk, "sazukari.jar"), "com.nmi.sazukari.ConformanceClient"),
		"Java": append(jvm[:len(jvm):len(jvm)], classes+filepath.Join(jdk, "megaki-client.jar"), "dev.megaki.ConformanceClient"),
	} {
		t.Run(name, func(t *testing.T) {
			results, err := conformance.Run(t.Context(), client, conformance.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil {
					t.Errorf("%s: %v", r.Scenario.Name, r.Err)
				}
			}
		})
	}
}
