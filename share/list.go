package share

// list is a doubly linked list, whose links lie in its members: container/list would
// allocate one for each member that waits.
type list[T any] struct {
	first, last *link[T]
	n           int
}

// link ties a member into a list.
type link[T any] struct {
	of            *T
	before, after *link[T]
}

func (l *list[T]) pushBack(k *link[T]) {
	k.before, k.after = l.last, nil
	if l.last == nil {
		l.first = k
	} else {
		l.last.after = k
	}
	l.last = k
	l.n++
}

// remove takes out a link, which must be in the list.
func (l *list[T]) remove(k *link[T]) {
	if k.before == nil {
		l.first = k.after
	} else {
		k.before.after = k.after
	}
	if k.after == nil {
		l.last = k.before
	} else {
		k.after.before = k.before
	}
	k.before, k.after = nil, nil
	l.n--
}
