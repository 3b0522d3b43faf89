package config

import "reflect"

// kind is the section of a kind of listener or backend, a field with the option "kind".
type kind interface {
	// check reports what is wrong with the section that its fields alone don't show.
	check(w *walker, cfg *Config)
	// warn reports what is odd in a section that is valid.
	warn(w *walker, cfg *Config)
}

// listenerKind is the section of a kind of listener.
type listenerKind interface {
	kind
	socket() socket
}

// socket has the fields of a listener that are about its socket.
type socket struct {
	address             *string
	maxConnections      *int
	maxConnectionsPerIP *int
	proxyFrom           *[]string
}

// ListenerKinds returns the keys of the kinds of listeners.
func ListenerKinds() []string { return keysOf(fieldsOf(reflect.TypeFor[Listener]()), true) }

// BackendKinds returns the keys of the kinds of backends.
func BackendKinds() []string { return keysOf(fieldsOf(reflect.TypeFor[Backend]()), true) }

// section is a section that a listener or a backend has.
type section struct {
	name string // its key
	kind kind
}

// sectionsOf returns the sections of a listener or a backend. One that is valid has
// exactly one.
func sectionsOf(block any) (all []section) {
	v := reflect.ValueOf(block).Elem()
	for _, f := range fieldsOf(v.Type()) {
		if field := v.FieldByIndex(f.index); f.kind && !field.IsNil() {
			all = append(all, section{f.key, field.Interface().(kind)})
		}
	}
	return all
}

// kindOf returns the key of the section that a listener or a backend has, "" for one
// that doesn't have exactly one.
func kindOf(block any) string {
	if all := sectionsOf(block); len(all) == 1 {
		return all[0].name
	}
	return ""
}

// eachSection calls f for the sections of all listeners and backends.
func (c *Config) eachSection(f func(kind)) {
	var all []section
	for i := range c.Listeners {
		all = append(all, sectionsOf(&c.Listeners[i])...)
	}
	for i := range c.Backends {
		all = append(all, sectionsOf(&c.Backends[i])...)
	}
	for _, s := range all {
		f(s.kind)
	}
}
