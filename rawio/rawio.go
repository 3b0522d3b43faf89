package rawio

// Most is the number of bytes that a raw system call copies at most.
const Most = 64 << 10

// ErrNothing is the error of a TryRead if nothing has come. It is a temporary
// net.Error, so that TLS can go on after it.
var ErrNothing error = nothingError{}

type nothingError struct{}

func (nothingError) Error() string   { return "nothing has come yet" }
func (nothingError) Timeout() bool   { return true }
func (nothingError) Temporary() bool { return true }
