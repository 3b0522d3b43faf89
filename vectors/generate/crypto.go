package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"math/big"
)

// Two RSA keys that are used for nothing but vectors.
const (
	serverPEM = `-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAxoWDWctmKRT0j4X88fsS9vSjckjZqR/XlB86TIviooSLADFx
1p3nOKjLXsHc8h98ZruCQ1O0UWGzrhpRsuXUxfvOWwqsrFSu/iduxRh8thc8tLA0
skmRKbrsbq3dX7Qel99YcimspNYeAD7GxlY1xMrRyWV3jXJbvvBvwkG6RStdq/oV
547nBQwyJYIYrhWvsr7V+rI44z5GjbnHNKdCo7xF1q2JsGH+i/KyvgBmgyHyQiQU
6+evjiW2XgtmdGzNgSgaYKSoevhwVYG3Be2WO/RTP2ACwYm7WrSdOqLXOXnloAlS
/p+PrSA//HgKLf7Smgp1bd+jINF2IwOe7ZIKeQIDAQABAoIBABhqnmuiYSfHXIb0
f1ZRv5ThJOMvA5pSAMVGi/iTMeY0MBZvfmVbmW82D4FRjbe32KiYAl7+ggyKXDub
IBZFP0S0gj5fUzqE1dsLhYu3RcttkzlT/L863iBITcEVIEefky2xuiKcbo/9h8YW
8oK9YrKYEXJYSPp8KL2Uu+IkDGFqSt2+qI5SMTRhEgSwtFCuYZ2M9ZFsb8TTfm1a
6yUCmsKKAMhO/k3nbsxYBddJYuAbBMcX+ysqImeRic/hOFMqr6DCpXzibB+QxhyA
9ZxMPt4LpNT30rNBtfNEnPSllzCUAiaMcbTBhR7e7D/0pjwjY07SMqjWcWv4JOnS
mt4b62kCgYEA9UZTiilnLan9G1fbcvuGJk2pUJDFPd883yEyO6rKiqCXH2iTWUN3
lJWrFv+7BPodMMW94M7oHMuq3vgxH0dhO1J9ewZm1Nrz4sc2/pbLX4vZ/UWBnRLB
IeeuyrdL8O3iSxzsLpVLeHp7+UHy2CJytFgL6QD+G8dv2lD8+HL2DU0CgYEAzzPR
kiSezoFmcpzYTbXntVpEeWmLYGJ3epyWRAiXgW2w4hK0ZTapkeAV1boSTlpBb8e9
vb1kQ/0obbAbKCZ0ZpwJ4M76QeVB6ETYVXZdE0AmL6d+puIUGg+1MWMiLvjmM6wM
mmifYZUw56jRQRMByj8Wj0A1INC7ilJh+DjPS90CgYBiTS9KHlHl8U0p2kpviPM5
AsMrMPp8U6431zwkwcyvRrGKuwTjL7ELcfjCHPg9hGiSlY4GPaa1c8Ml3d8CJD+J
4QO9fNFV2fMJHsKhwpn7zzcs1OCfrVaOWiapxFDBXPXnGM5n1RoMTTrGqXHEwfmq
4ebUGbu+Mm5X10Gr6ZdHuQKBgFjwcj2b8HrNuo7p2kMJGOuUUp4W+teljImZ2zpa
wcWxsuJniv2DCChwmo7CLwdo4Hu9rilauUYhzY+/rvh+ASrmQas4zN0qLi8oFgAh
LXSM7Zc4+zlhA6XoJiuL1Ol6tz1o1YQV8ovtgS9/HEslgHgyullFA0kRr96A3EKz
B/AVAoGBAKHJNm+n9okYUj7ouxlANDBKi332NfeGVvDcWN8ouhbld2Xmir48gedU
R0M9yf1YvV+oqwJPWM98DYzQsMQOjYuTtYwNzOUk0ezQCkn32tBqh3XLspWfWYQy
rSsmHKqEDGvVTdGL885ib9554nbivpO2nCJ7ipetk7736TiSCaKF
-----END RSA PRIVATE KEY-----`
	clientPEM = `-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAqyCcmOiaPx7Sa3aWc1a/NllkjS/KiyJWdbzvFJ0aMRL9AwzC
/mEBmHN9/KfntwVSZkGptq2pA58RBPgmQkOt1NXs2jSoQW29pqt36eAl0++kYb2T
UdsbO0yQ8pdufZS0gjFbPC2lg/ime4I8DanGNId2Tgm9uMQqe9QmuMMJ8ip0ud9+
232bWVca/VQvDch3szv2kDOUwPn3ED43S81K0DF71X9WsgHhZkKxlylkDF8PW/NJ
fxmy7IpY1VQLHUriiUVH0BQ+JvQ4grtBjHyvMvXUmoFnDMIy9DB7o4RV4N9QLc69
UQiz86GhsJuYlidLoyIPaLymskyCrID/zqdcIQIDAQABAoIBABrl/WIWQxM43QpX
PD7U8Slcfm79hsYSl6naEMUaDKE6GDBVM9vtk4/1rLqnXxy9kWjRWW6FeCjsOoNK
yM4RpU6XHFZlgIJdpY8qf1FxEivGDKibC9UKA7XGdeIr5gox8vhOmcX+cXh/qmuE
2mZWEU71xqVtkozAXjfTQ7g3BWaIVBNKa0k0imLmS7VKU0afauTaKZ5LyrbO3ZTd
MYL6UpllUD5gEsE6rwQ8Y5xyYJtCYHaiwinJAccCUvgFUnE28cPlEH+dmOzmQ6Go
IqVqHiiW9Bhqx88Tu70cVlU2uHfGpkjme8eXqWB0qRzSATDfpLfaGaqFAqVCRh6c
99XE9iECgYEA0zXfeYWek95MZw3cLRZ6EbFGGugrVdtDLCipMz/t9TrTa4ozhtSb
UTrCPWHqQroF63OU1wmElAvqkWozu5gW2kIOHofGn/PiLsDFn50f7HcVGT/ma+94
LG5A6dEsasRjnyWQB7/e/vH7iiyQr19tDECbfMAtbbRjaqC1XD05I1sCgYEAz2q4
8uN+c4Oj0hC4Aprs8bsPAyRJOzAYf2Wf268Q1O2CI9F8BzvmD15P8sMuGxW0GjUH
ezn+Va6fADg5TKQM7OeNEfjCtAGnQ63rMAMPAPXNmJP050Drp1a/9/iWiN7fzpmF
s0ugcDctYC1IykKznTxASgtmiYT6gVOfE/W1wzMCgYEArAWHstEaW/LFJXYLaomQ
+FH6+DU5/l5rsk6XqE8cPwwfX8oat2j360vBIf9aregWpDLp+c4dtfqSnMbzxYlU
q4T7PPB23JXlFREapCpz8sL2Yy9BO425we42XnloBLlZLiiIy1cBh4GMzngHi15c
UYtZWFypY111T0X/EFYo8FsCgYBDXiBwE1+w2SLOScvaXMN0yBLaLGD0rmxmhHVl
fvjyj6njRFkKaHQSrck9yhMhjO0QTgT+CxoGbk8KXTiPIgFouNRi7+8dVCQloUlw
MK4g27VJR1UV/0oK8ewr+Du8fNcoXUjFsVyM1f8Q6+RmfT+lZDplUkqdg+lxM93J
N9cvbQKBgH/0q8Ksis8rRHZTXPf8uMig7mRocaygXdK/uw72IISZynN0R0CHeNAq
KL+Cali26bmuubHhrLpJofESmS5SkQpEigjvptS/BHyjt6LkUSFdQc3xRLo/h3Kj
dHaBytpmYRrWv4HegsiQlc6LJzoYdGaCUUuLoqqx9XJY49+XqGRF
-----END RSA PRIVATE KEY-----`
)

var (
	serverKey = parse(serverPEM)
	clientKey = parse(clientPEM)
)

func parse(text string) *rsa.PrivateKey {
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err) // a constant
	}
	return key
}

// source is a stream of bytes from a seed: SHA-256 of the seed and a counter.
type source struct {
	seed string
	n    uint64
	rest []byte
}

func (s *source) draw(n int) []byte {
	for len(s.rest) < n {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.n))
		s.n++
		s.rest = append(s.rest, sum[:]...)
	}
	out := s.rest[:n:n]
	s.rest = s.rest[n:]
	return out
}

// mgf1 is MGF1 with SHA-1 (RFC 8017, appendix B.2.1).
func mgf1(seed []byte, n int) (out []byte) {
	for i := uint32(0); len(out) < n; i++ {
		sum := sha1.Sum(binary.BigEndian.AppendUint32(append([]byte(nil), seed...), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func xor(dst, src []byte) {
	for i := range dst {
		dst[i] ^= src[i]
	}
}

// oaep encrypts with RSAES-OAEP, SHA-1, MGF1-SHA-1 and no label (RFC 8017,
// section 7.1.1). The seed is drawn from s.
func (s *source) oaep(key *rsa.PublicKey, plain []byte) []byte {
	const size, hash = 256, sha1.Size
	db := make([]byte, size-hash-1)
	label := sha1.Sum(nil)
	copy(db, label[:])
	db[len(db)-len(plain)-1] = 1
	copy(db[len(db)-len(plain):], plain)
	seed := append([]byte(nil), s.draw(hash)...)
	xor(db, mgf1(seed, len(db)))
	xor(seed, mgf1(db, hash))
	m := new(big.Int).SetBytes(append(append([]byte{0}, seed...), db...))
	return m.Exp(m, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, size))
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func cbc(key, iv, plain []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // keys have 32 bytes
	}
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
	return out
}

// derive returns NOT a XOR b.
func derive(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range out {
		out[i] = ^a[i] ^ b[i]
	}
	return out
}
