package megaki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openssl runs the command, with input on its standard input, and returns what
// it writes. A missing openssl fails the test: the keys of the field are its.
func openssl(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

const passphrase = "crno je sve"

func checkParsed(t *testing.T, want *rsa.PrivateKey, data []byte, passphrase string) {
	t.Helper()
	got, err := ParsePrivateKey(data, []byte(passphrase))
	if err != nil {
		t.Fatalf("%v\n%.200s", err, data)
	}
	if !got.Equal(want) {
		t.Error("another key")
	}
}

// checkPassphraseNeeded tries enough wrong passphrases that the padding of
// some looks right: one in 256 does.
func checkPassphraseNeeded(t *testing.T, data []byte, tries int) {
	t.Helper()
	for i := range tries {
		wrong := []byte(strings.Repeat("x", i))
		if _, err := ParsePrivateKey(data, wrong); !errors.Is(err, ErrPassphrase) {
			t.Fatalf("wrong passphrase %q: %v", wrong, err)
		}
	}
}

func TestPrivateKeysOfOpenSSL(t *testing.T) {
	base := openssl(t, nil, "genrsa", "-traditional", "2048")
	key := mustParseKey(t, string(base))

	t.Run("PKCS#1", func(t *testing.T) {
		if !bytes.HasPrefix(base, []byte("-----BEGIN RSA PRIVATE KEY-----")) {
			t.Fatalf("openssl wrote something else: %.40s", base)
		}
		checkParsed(t, key, base, "")
		checkParsed(t, key, base, "a passphrase that isn't needed")
	})
	t.Run("PKCS#8", func(t *testing.T) {
		checkParsed(t, key, openssl(t, base, "pkcs8", "-topk8", "-nocrypt"), "")
	})
	for _, c := range []string{"aes128", "aes192", "aes256", "des3", "des"} {
		t.Run("legacy "+c, func(t *testing.T) {
			provider := []string{"-provider", "default"}
			if c == "des" {
				provider = append(provider, "-provider", "legacy")
			}
			data := openssl(t, base, append([]string{"rsa", "-traditional", "-" + c, "-passout", "pass:" + passphrase}, provider...)...)
			if !bytes.Contains(data, []byte("Proc-Type: 4,ENCRYPTED")) {
				t.Fatalf("openssl wrote something else: %.100s", data)
			}
			checkParsed(t, key, data, passphrase)
			checkPassphraseNeeded(t, data, 500)
		})
	}
	for _, c := range [][]string{
		{"-v2", "aes-128-cbc"},
		{"-v2", "aes-192-cbc"},
		{"-v2", "aes-256-cbc"},
		{"-v2", "des3"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA224"},
		{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA256"},
		{"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA384"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-224"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-256"},
		{"-v2", "des3", "-v2prf", "hmacWithSHA1", "-iter", "100000"},
	} {
		t.Run("PBES2 "+strings.Join(c, " "), func(t *testing.T) {
			args := append([]string{"pkcs8", "-topk8", "-passout", "pass:" + passphrase}, c...)
			checkParsed(t, key, openssl(t, base, args...), passphrase)
			checkPassphraseNeeded(t, openssl(t, base, append(args, "-iter", "1")...), 500)
		})
	}
	t.Run("PBES2 of genrsa", func(t *testing.T) {
		data := openssl(t, nil, "genrsa", "-aes128", "-passout", "pass:"+passphrase, "2048")
		if _, err := ParsePrivateKey(data, []byte(passphrase)); err != nil {
			t.Error(err)
		}
	})
}

// manyIterations was written by openssl pkcs8 -topk8 -v2 des3 -iter 10000001,
// which takes seconds.
const manyIterations = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIFHjBQBgkqhkiG9w0BBQ0wQzArBgkqhkiG9w0BBQwwHgQIM9dketp6pFcCBACY
loEwDAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQI18ZErnrnQ/YEggTImF9aF1YI
+hRWmZQJLnamZsein8oLT5/dCqPNyeioJ+krAl8BGBBC6CA5gqZi5SnkE7rEkX6q
uvxicwH8NhvFAS2M2BzdEyrcNoGpTS6bHtZka28sWT+9djhPSESM6WHQT2F1CHU6
2wS+60qovJ735/9LlbrbJHIJHDvyaxq6kCaYsZYJ+Wf8tM5OHZYbyd14c8q1My/O
CWi/795sB8E2sytMPZQzwWEZWNdZAF7P2syIeOL32xen4NyLyH54g7c/54361jgv
CBI6OK6n8AiNcio9olrhO2A4p69BcBJFrrr3DsPbWmtGjTKFdliUqRHxP5jz2mdn
IqD+uonEb5niJpM08pbhpAovnmgMVpBQFgLZ32A/zRuHeDKh87gHmQb0vaZXlJoL
37Tqrkv0Qrcel01yB2kYOkuFJQtlrx46uCjyoUoyo18oiJUEZSwm1/sZczd1gdoC
T1XffnHjeZ8QptfDr0zYEOmn5/fmEuz5NgiMkKKoVf2kWVFrw0QAux8tdT8hCquC
qI4ENw8TP1XQKSxw+wbxCaaSiMfgeovvqxIydEC5bJyhmH69XB4QqHUdTJWcHvcR
vulL2Ci7wpPMm4F8FacgKbAB8PeO/2KIKTMafeXiBcwibHNblJhqhwxBKevOocVD
xQ9ZD3U7d7JoZZVMuHEvwMVbgAb2HrKa8cbh31J4x018uR5lLcGq4inTp5SX046L
koNK0W4lrjU7iAyHNCEs8AjeowUrd8qKG6fwuvVOV/DLTYexgooF2FQbo6JpRINE
f6P0PKckGIpQNoIuSnWC4UpjLvWZiV6ysP9TfLwmRZQNiICm0PGe9Fkc154Wd7dC
pnSh0dlsg+CL5tE9I4Ig9kXYEk4qI4biMu/A7sd1C4F/OLLK5NRX6gmqTZVzQIno
XI9sJdsdy1QrB+6PyZiKbYXB0FPCqWavtKhiUYla8uo+T0Kje0rQnguzcN8AdTDy
ZfMSrwPx4Gl1IPFP0pJpXmeMQe9TRARBsHZJkgIrATqsE91egG9W/WEMZJRK65oB
JZjIU3DzxZvVN5EWqLBISIwe2J29EHInlaGSBpSm4ifm6/f6puRxseA9vSpv/tDe
d9ud2u1aLjOFrRZrXxWyW6SXdfiMabNODV6u4xZLARixIQ576ApSINhFQ/vA7/Z0
WvpDB/Rk4Bu7rEj9VwylwgN+ufuDBqPgeSdTvDO74JNjmebdtFg8llNz1ui31VNO
o2wd5UdJXKYiNx7NfkpZmi5c22bJYmhdEBEUXZIs5Tr551XFsKedZJwJIrFJIoyJ
44alGQj3aDLSi0os0vWWUXLQfNFeLyI2n8LjRltKQ2lFCHf4995DeJW8o1lTyDdd
axbGq8uvIAjq7YQ9OIRAeooSrjY6iKrkk6TO8292HokbJEmYmSm45Jz4FXZKjQH2
GeCGjnCP/xyQqJsLoEKHnLS3XPJQjn17YyC3d34eDo3UqmmpYZpTaHv9W69djvpB
APBOTOTtursEnmBrEeUcWrm/DoceIXrnsXWnUx0AyXeM1YkPn5ZS/xjAEJF6MvB7
bSWfRum6P0hOUsz86u43wd0q3vYazXK/6/sGllNW9mSLdL7C4wmOd2ZLtVNPYR5W
PdUfpfrNOzB/7PHCntMiHWSY
-----END ENCRYPTED PRIVATE KEY-----
`

func TestKeysThatAreRefused(t *testing.T) {
	rsaKey := func(bits string) []byte { return openssl(t, nil, "genrsa", bits) }
	pass := []string{"-passout", "pass:" + passphrase}
	base := rsaKey("2048")
	scrypt := openssl(t, base, append([]string{"pkcs8", "-topk8", "-scrypt"}, pass...)...)
	pbes1 := openssl(t, base, append([]string{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"}, pass...)...)
	legacy := openssl(t, base, append([]string{"rsa", "-traditional", "-aes128"}, pass...)...)
	short := openssl(t, rsaKey("1024"), append([]string{"pkcs8", "-topk8", "-v2", "aes128"}, pass...)...)
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"1024 bits", rsaKey("1024"), "1024 bits, want exactly 2048"},
		{"1024 bits, encrypted", short, "1024 bits, want exactly 2048"},
		{"2047 bits", rsaKey("2047"), "2047 bits, want exactly 2048"},
		{"3072 bits", openssl(t, nil, "genrsa", "-traditional", "3072"), "3072 bits, want exactly 2048"},
		{"EC", openssl(t, nil, "ecparam", "-name", "prime256v1", "-genkey"), `PEM of type "EC PRIVATE KEY", an RSA key`},
		{"EC as PKCS#8", openssl(t, nil, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "ecdsa.PrivateKey, an RSA key"},
		{"Ed25519", openssl(t, nil, "genpkey", "-algorithm", "ed25519"), "ed25519.PrivateKey, an RSA key"},
		{"EC, encrypted", openssl(t, nil, append([]string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes128"}, "-pass", "pass:"+passphrase)...), "ecdsa.PrivateKey, an RSA key"},
		{"a public key", openssl(t, base, "rsa", "-pubout"), `PEM of type "PUBLIC KEY", an RSA key`},
		{"scrypt", scrypt, "convert it: openssl pkcs8"},
		{"PBES1", pbes1, "convert it: openssl pkcs8"},
		{"too many iterations", []byte(manyIterations), "10000001 iterations"},
		{"unknown cipher", bytes.Replace(legacy, []byte("AES-128-CBC"), []byte("CAMELLIA-128-CBC"), 1), `"CAMELLIA-128-CBC", which isn't supported; convert it`},
		{"no DEK-Info", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: make([]byte, 16)}), `convert it`},
		{"short IV", bytes.Replace(legacy, []byte("AES-128-CBC,"), []byte("AES-128-CBC,00"), 1), "incorrect IV size"},
		{"cut short", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("\x30\x82\x05")}), "convert it"},
		{"damaged", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("\x30\x03\x02\x01\x00")}), "reading the private key"},
		{"empty", nil, "no PEM"},
		{"junk", []byte("hello"), "no PEM"},
	} {
		_, err := ParsePrivateKey(c.data, []byte(passphrase))
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// OpenSSL takes the cipher's name in either case, and spaces around it.
func TestLegacyHeaderVariants(t *testing.T) {
	f := loadFlow(t)
	for _, header := range []string{"aes-128-cbc,", " AES-128-CBC, ", "Aes-128-Cbc ,"} {
		data := strings.Replace(f.ServerEncrypted, "AES-128-CBC,", header, 1)
		checkParsed(t, f.serverKey(t), []byte(data), f.ServerPassphrase)
	}
}

// Keys in the field have the exponent 65537; others have 3.
func TestExponents(t *testing.T) {
	for _, e := range []string{"3", "17", "65537", "2147483647"} {
		server := mustParseKey(t, string(openssl(t, nil, "genpkey", "-algorithm", "RSA",
			"-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:"+e)))
		addr := start(t, &Server{Keys: []crypto.Decrypter{server}})
		checkEcho(t, dial(t, addr, &Config{ServerKey: &server.PublicKey, ClientKey: server}), 100)
	}
	big := openssl(t, nil, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:4294967311")
	if _, err := ParsePrivateKey(big, nil); err == nil || !strings.Contains(err.Error(), "exponent") {
		t.Errorf("exponent over 2^31-1: %v", err)
	}
}

func TestRecordedKeys(t *testing.T) {
	f := loadFlow(t)
	key := f.serverKey(t)
	checkParsed(t, key, []byte(f.ServerEncrypted), f.ServerPassphrase)
	checkPassphraseNeeded(t, []byte(f.ServerEncrypted), 500)
	for name, data := range map[string][]byte{"PEM": []byte(f.ServerPublic), "server.cert": f.ServerKeyFile} {
		if public, err := ParsePublicKey(data); err != nil || !public.Equal(&key.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if pinned, err := PinnedKey(&key.PublicKey); err != nil || !bytes.Equal(pinned, f.ServerKeyFile) {
		t.Errorf("PinnedKey: %x, %v", pinned, err)
	}
}

func TestPublicKeysOfOpenSSL(t *testing.T) {
	base := openssl(t, nil, "genrsa", "2048")
	key := mustParseKey(t, string(base))
	pkix, pkcs1 := openssl(t, base, "rsa", "-pubout"), openssl(t, base, "rsa", "-RSAPublicKey_out")
	pinned, err := PinnedKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"PKIX":               pkix,
		"PKCS#1":             pkcs1,
		"260 bytes":          pinned,
		"junk before it":     append([]byte("a note\nof two lines\n"), pkix...),
		"a block before it":  append([]byte("-----BEGIN X-----\n-----END X-----\n"), pkcs1...),
		"CR LF":              bytes.ReplaceAll(pkix, []byte("\n"), []byte("\r\n")),
		"text output before": openssl(t, pkix, "rsa", "-pubin", "-text"),
	} {
		if got, err := ParsePublicKey(data); err != nil || !got.Equal(&key.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	private := append([]byte("Bag Attributes\n    localKeyID: 01\n"), base...)
	checkParsed(t, key, private, "")
	checkParsed(t, key, append(bytes.Clone(pkix), private...), "")

	ec := openssl(t, openssl(t, nil, "ecparam", "-name", "prime256v1", "-genkey"), "ec", "-pubout")
	pem260 := append(bytes.Clone(ec), bytes.Repeat([]byte("\n"), pinnedKeySize-len(ec))...)
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"1024 bits", openssl(t, openssl(t, nil, "genrsa", "1024"), "rsa", "-pubout"), "1024 bits"},
		{"EC", ec, "ecdsa.PublicKey, an RSA key"},
		{"a private key", base, "has a private key"},
		{"a private key before it", slices.Concat(base, pkix), "has a private key"},
		{"a private key after it", slices.Concat(pkcs1, base), "has a private key"},
		{"PEM of 260 bytes", pem260, "ecdsa.PublicKey, an RSA key"},
		{"259 bytes", pinned[:259], "260 bytes"},
		{"261 bytes", append(bytes.Clone(pinned), 0), "260 bytes"},
		{"even modulus", edited(pinned, 255, 0), "even"},
		{"2047 bits", edited(pinned, 0, 0x7F), "2047 bits"},
		{"exponent 1", edited(pinned, 256, 0, 0, 0, 1), "exponent 1"},
		{"even exponent", edited(pinned, 256, 0, 1, 0, 0), "exponent 65536"},
		{"exponent 0", edited(pinned, 256, 0, 0, 0, 0), "exponent 0"},
		{"exponent over 2^31-1", edited(pinned, 256, 0x80, 0, 0, 1), "exponent 2147483649"},
	} {
		if _, err := ParsePublicKey(c.data); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// edited is a copy of p with other bytes at a place.
func edited(p []byte, at int, b ...byte) []byte {
	p = bytes.Clone(p)
	copy(p[at:], b)
	return p
}

func TestKeyRoundTrips(t *testing.T) {
	key := testKey()
	private, err := MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	checkParsed(t, key, private, "")
	if out := openssl(t, private, "rsa", "-check", "-noout"); !bytes.Contains(out, []byte("RSA key ok")) {
		t.Errorf("openssl says: %s", out)
	}
	public, err := MarshalPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParsePublicKey(public); err != nil || !got.Equal(&key.PublicKey) {
		t.Errorf("public key: %v", err)
	}
	if !bytes.Equal(openssl(t, private, "rsa", "-pubout"), public) {
		t.Error("openssl writes the public key otherwise")
	}
	for _, bad := range []*rsa.PublicKey{{}, {N: key.N, E: 1}, {N: key.N, E: 1<<31 + 1}} {
		if _, err := PinnedKey(bad); err == nil {
			t.Errorf("pinned: %+v", bad)
		}
	}
}

func TestCreateKeyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.key")
	if err := CreateKeyFiles(path); err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := mustParseKey(t, string(private))
	for suffix, mode := range map[string]os.FileMode{"": 0o600, ".pub": 0o644, ".cert": 0o644} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got&^mode != 0 || got&0o600 != 0o600 { // a umask may take more
			t.Errorf("%s has mode %v", info.Name(), got)
		}
		if suffix == "" {
			continue
		}
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if public, err := ParsePublicKey(data); err != nil || !public.Equal(&key.PublicKey) {
			t.Errorf("%s: %v", info.Name(), err)
		}
	}
}

func TestCreateKeyFilesNeverOverwrites(t *testing.T) {
	for _, suffix := range []string{"", ".pub", ".cert"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "server.key")
		if err := os.WriteFile(path+suffix, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CreateKeyFiles(path)
		if err == nil || !strings.Contains(err.Error(), path+suffix+" exists") {
			t.Errorf("%q exists: %v", suffix, err)
		}
		if data, err := os.ReadFile(path + suffix); err != nil || string(data) != "precious" {
			t.Errorf("%q was overwritten: %q, %v", suffix, data, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%q exists: left behind: %v, %v", suffix, entries, err)
		}
	}

	// A link that points nowhere isn't followed.
	dir := t.TempDir()
	path := filepath.Join(dir, "server.key")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	if err := CreateKeyFiles(path); err == nil {
		t.Error("written through a link")
	}

	missing := filepath.Join(dir, "missing", "server.key")
	if err := CreateKeyFiles(missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing directory: %v", err)
	}
}
