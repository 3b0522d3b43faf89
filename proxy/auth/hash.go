package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what a hash may cost.
const (
	maxBcrypt  = 16
	maxArgonKB = 256 << 10
	maxArgonT  = 32
	maxArgonP  = 16
)

// hashed is a password's hash, as the file has it.
type hashed struct {
	text  string
	argon *argonHash // nil: bcrypt
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// parseHash reads a hash. Its errors are what to do instead.
func parseHash(s string) (hashed, error) {
	const remedy = "; set the password again with htpasswd -B"
	switch {
	case strings.HasPrefix(s, "$2y$"), strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"):
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || len(s) != 60 {
			return hashed{}, errors.New("the hash by bcrypt is malformed" + remedy)
		}
		if cost > maxBcrypt {
			return hashed{}, fmt.Errorf("bcrypt with the cost %d takes too long; %d is the most", cost, maxBcrypt)
		}
		return hashed{text: s}, nil
	case strings.HasPrefix(s, "$argon2id$"):
		a, err := parseArgon(s)
		return hashed{s, a}, err
	case strings.HasPrefix(s, "$argon2"):
		return hashed{}, errors.New("of Argon2 only argon2id is taken" + remedy)
	case strings.HasPrefix(s, "$apr1$"), strings.HasPrefix(s, "$1$"):
		return hashed{}, errors.New("a hash by MD5 (apr1) is too weak" + remedy)
	case strings.HasPrefix(s, "{SHA}"), strings.HasPrefix(s, "{SSHA}"):
		return hashed{}, errors.New("a hash by SHA-1 is too weak" + remedy)
	case strings.HasPrefix(s, "$5$"), strings.HasPrefix(s, "$6$"), strings.HasPrefix(s, "$y$"):
		return hashed{}, errors.New("hashes of crypt aren't taken" + remedy)
	}
	return hashed{}, errors.New("this is neither a hash by bcrypt nor one by Argon2id (htpasswd without -B writes crypt, or the password itself)" + remedy)
}

// parseArgon reads a hash in the PHC format: $argon2id$v=19$m=65536,t=3,p=4$salt$key.
func parseArgon(s string) (*argonHash, error) {
	bad := errors.New("the hash by Argon2id is malformed; want $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH")
	f := strings.Split(s, "$")
	if len(f) != 6 || f[2] != "v=19" {
		return nil, bad
	}
	a := new(argonHash)
	var rest string
	if n, err := fmt.Sscanf(f[3]+" ", "m=%d,t=%d,p=%d%s", &a.memory, &a.time, &a.threads, &rest); n != 3 || err == nil {
		return nil, bad
	}
	var err1, err2 error
	a.salt, err1 = base64.RawStdEncoding.DecodeString(f[4])
	a.key, err2 = base64.RawStdEncoding.DecodeString(f[5])
	switch {
	case err1 != nil, err2 != nil, len(a.salt) < 8, len(a.salt) > 64, len(a.key) < 16, len(a.key) > 64, a.time == 0, a.threads == 0:
		return nil, bad
	case a.memory > maxArgonKB, a.time > maxArgonT, a.threads > maxArgonP:
		return nil, fmt.Errorf("Argon2id with m=%d, t=%d, p=%d costs too much; m=%d, t=%d, p=%d are the most", a.memory, a.time, a.threads, maxArgonKB, maxArgonT, maxArgonP)
	}
	return a, nil
}

// matches reports whether a password has the hash.
func (h hashed) matches(password string) bool {
	if a := h.argon; a != nil {
		key := argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.threads, uint32(len(a.key)))
		return subtle.ConstantTimeCompare(key, a.key) == 1
	}
	return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
}
