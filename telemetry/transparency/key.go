package transparency

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// The key's files in the directory of signing keys. They end neither in .pem nor in .pub: those are the keys that a
// policy is trusted by, which sign nothing else and are signed for by a root.
const (
	PrivateKeyFile = "transparency-key"
	PublicKeyFile  = "transparency-key.public"
)

const (
	privateBlock = "PRIVATE KEY"
	maxKeyFile   = 1024
)

// Key signs entries of a log. Printing one shows its public half.
type Key struct{ private ed25519.PrivateKey }

// PublicKey verifies entries of a log.
type PublicKey [ed25519.PublicKeySize]byte

// NewKey makes a key from the operating system's randomness.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new key: %w", err)
	}
	return &Key{private}, nil
}

// Public is the half that may be shown.
func (k *Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// String is the public half.
func (k *Key) String() string { return k.Public().String() }

// Format keeps every verb of fmt from printing the private bytes.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText keeps encoders from writing the private bytes.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String is the key in hexadecimal, 64 digits.
func (p PublicKey) String() string { return hex.EncodeToString(p[:]) }

// Short is enough of the key to tell a few apart.
func (p PublicKey) Short() string { return p.String()[:16] }

// ParsePublicKey reads what String writes.
func ParsePublicKey(text string) (PublicKey, error) {
	var p PublicKey
	if b, err := hex.DecodeString(text); err == nil && len(b) == len(p) {
		p = PublicKey(b)
		if p.String() == text {
			return p, nil
		}
	}
	return PublicKey{}, fmt.Errorf("public key %.80q is not %d hexadecimal digits in lower case", text, 2*len(p))
}

// GenerateKey makes a key in a directory, which is created with mode 0700 when it is absent: the private file with mode
// 0600 and the public one beside it. Existing files are never overwritten.
func GenerateKey(dir string) (*Key, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der})
	if err := createFile(filepath.Join(dir, PrivateKeyFile), block, 0o600); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	if err := createFile(filepath.Join(dir, PublicKeyFile), []byte(key.String()+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

func createFile(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and keys are never overwritten", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// LoadKey reads the private key of a directory. A file that others than its owner may read is refused. Its errors never
// quote the content; the error of an absent file is an fs.ErrNotExist.
func LoadKey(dir string) (*Key, error) {
	path := filepath.Join(dir, PrivateKeyFile)
	text, mode, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	// Windows has no such mode bits: its files report 0666 or 0444 whatever their access list says.
	if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load key: %s has mode %04o, others may read it: chmod 600 it, and replace the key if anybody did", path, mode.Perm())
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != privateBlock || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("load key %s: not one PEM block %q", path, privateBlock)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, isEd25519 := parsed.(ed25519.PrivateKey)
	if err != nil || !isEd25519 {
		return nil, fmt.Errorf("load key %s: not an Ed25519 key in PKCS#8", path)
	}
	return &Key{private}, nil
}

// LoadPublicKey reads a public key file. The error of an absent one is an fs.ErrNotExist.
func LoadPublicKey(path string) (PublicKey, error) {
	text, _, err := readSmall(path)
	if err != nil {
		return PublicKey{}, fmt.Errorf("load public key: %w", err)
	}
	key, err := ParsePublicKey(string(bytes.TrimSuffix(text, []byte("\n"))))
	if err != nil {
		return PublicKey{}, fmt.Errorf("load public key %s: %w", path, err)
	}
	return key, nil
}

// readSmall reads a bounded regular file.
func readSmall(path string) (text []byte, mode fs.FileMode, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, 0, fmt.Errorf("%s is not a key file", path)
	}
	text, err = io.ReadAll(io.LimitReader(file, maxKeyFile))
	return text, info.Mode(), err
}
