package config

import "testing"

func TestTemplateErrors(t *testing.T) {
	unknown := "there is no placeholder {clientip}; known are " + placeholderList() + "; for a brace itself, write {{"
	for _, c := range []struct{ name, text, want string }{
		{"body", "[{respond: {body: 'a {clientip}'}}]", `4:27: routes[0].respond.body: got "a {clientip}"; ` + unknown},
		{"field", "[{backend: site, headers: {response: {set: {X-A: '{clientip}'}}}}]", "4:53: routes[0].headers.response.set.X-A: " + unknown},
		{"dropped field", "[{respond: {body: '{header.a_b}'}}]", `4:27: routes[0].respond.body: got "{header.a_b}"; {header.a_b} is always empty: fields with _ in their names are dropped`},
		{"no group", "[{match: {path_regexp: '(?P<a>x)'}, respond: {body: '{re.b}'}}]", "4:61: routes[0].respond.body: {re.b}: no path_regexp of this route has such a group; write one as in (?P<b>[a-z]+)"},
		{"no group of a rewrite", "[{rewrite: {regexp: x, to: '/{re.1}'}, backend: site}]", "4:36: routes[0].rewrite.to: {re.1}: neither regexp nor path_regexp has such a group; write one as in (?P<1>[a-z]+)"},
		{"rewrite nothing", "[{rewrite: {}, backend: site}]", "4:20: routes[0].rewrite: it changes nothing; give path, regexp and to, add_prefix, query or remove_query"},
		{"two paths", "[{rewrite: {path: /a, regexp: b, to: /c}, backend: site}]", "4:39: routes[0].rewrite.regexp: it has both path and regexp; keep one of them"},
		{"regexp alone", "[{rewrite: {regexp: b}, backend: site}]", "4:29: routes[0].rewrite.regexp: regexp and to go together; give to too"},
		{"query in a path", "[{rewrite: {path: '/a?b'}, backend: site}]", `4:27: routes[0].rewrite.path: got "/a?b"; a path has no query here; give it in query`},
		{"relative path", "[{rewrite: {path: '{host}/a'}, backend: site}]", `4:27: routes[0].rewrite.path: got "{host}/a"; want a path, which begins with /`},
		{"body and file", "[{respond: {body: a, file: k}}]", "4:36: routes[0].respond.file: it has both body and file; keep one of them"},
		{"media type", "[{respond: {body: a, content_type: html}}]", `4:44: routes[0].respond.content_type: got "html"; want a media type, as in text/plain; charset=utf-8`},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, routes(c.text), c.want) })
	}
	inner := "[{match: {path_regexp: '(?P<a>x)'}, routes: [{match: {path_regexp: y}, respond: {body: '{re.a} {re.0} {\"b\": {}} {{re.b}'}}]}]"
	mustParse(t, routes(inner))
	mustParse(t, routes("[{match: {path_regexp: ^(/.*)x}, redirect: {to: '{scheme}://{host}{re.1}'}}]"))
}
