package admin

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var metricName = regexp.MustCompile(`\bmkd_[a-z][a-z0-9_]+`)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// metricNames returns the names of all metrics.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	families, err := newRegistry(&fakeSource{st: fullStatus()}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "mkd_") {
			names[f.GetName()] = true
		}
	}
	return names
}

// metricLabels returns the labels of each metric.
func metricLabels(t *testing.T) map[string][]string {
	t.Helper()
	families, err := newRegistry(&fakeSource{st: fullStatus()}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	labels := make(map[string][]string)
	for _, f := range families {
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[f.GetName()] = append(labels[f.GetName()], l.GetName())
		}
	}
	return labels
}

var (
	selector = regexp.MustCompile(`\b(mkd_\w+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
)

// selectsByLabels checks that an expression selects by labels that its metrics have.
func selectsByLabels(t *testing.T, where, expr string, labels map[string][]string) {
	t.Helper()
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if have := labels[strings.TrimSuffix(s[1], "_bucket")]; m[1] != "instance" && !slices.Contains(have, m[1]) {
				t.Errorf("%s selects %s by %s; its labels are %q", where, s[1], m[1], have)
			}
		}
	}
}

// TestMetricsAreDocumented: docs/monitoring.md has each metric, and what it, the rules
// and the dashboard name exists.
func TestMetricsAreDocumented(t *testing.T) {
	names := metricNames(t)
	doc := readDoc(t, "../docs/monitoring.md")
	for name := range names {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/monitoring.md doesn't have %s", name)
		}
	}
	rules, dashboard := readDoc(t, "../packaging/prometheus/mkd.rules.yml"), readDoc(t, "../packaging/grafana/mkd.json")
	for file, text := range map[string]string{"docs/monitoring.md": doc, "the rules": rules, "the dashboard": dashboard} {
		for _, name := range metricName.FindAllString(text, -1) {
			if !names[name] && !names[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s names %s, which doesn't exist", file, name)
			}
		}
	}
	var panels struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(dashboard), &panels); err != nil {
		t.Fatalf("the dashboard: %v", err)
	}
	labels := metricLabels(t)
	for _, p := range panels.Panels {
		for _, target := range p.Targets {
			if target.Expr == "" {
				t.Errorf("the panel %s shows nothing", p.Title)
			}
			selectsByLabels(t, "the panel "+p.Title, target.Expr, labels)
		}
	}
	if len(panels.Panels) < 10 || len(names) < 20 {
		t.Errorf("%d panels, %d metrics", len(panels.Panels), len(names))
	}
	var parsed struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(rules), &parsed); err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, g := range parsed.Groups {
		for _, r := range g.Rules {
			alerts++
			if !strings.Contains(doc, "| "+r.Alert+" |") {
				t.Errorf("docs/monitoring.md doesn't have the alert %s", r.Alert)
			}
			selectsByLabels(t, "the alert "+r.Alert, r.Expr, labels)
			if r.Expr == "" || r.Annotations["summary"] == "" {
				t.Errorf("the alert %s is incomplete", r.Alert)
			}
		}
	}
	if documented := strings.Count(doc, "\n| Mkd"); documented != alerts || alerts == 0 {
		t.Errorf("%d alerts are documented, there are %d", documented, alerts)
	}
}
