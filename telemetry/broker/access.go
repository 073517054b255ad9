package broker

import (
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// accounts says who may do what. deploy/nats has the same text.
//
//go:embed accounts.conf
var accounts string

// roles are the users of accounts that need a password.
var roles = []string{operator, "ingest", edge, "publisher"}

const (
	operator = "operator"
	edge     = "edge"
	gate     = "gate"   // the side of an edge that its clients see
	account  = "ATTUNE" // that has the streams
)

// access is the part of the options that says who may do what. Only the operator, and an edge of theirs with the same
// password, can get in here; a server of this package has no use for the other roles.
func access(password string) (*server.Options, error) {
	var text strings.Builder
	for _, role := range roles {
		secret := password
		if role != operator && role != edge {
			secret = rand.Text()
		}
		fmt.Fprintf(&text, "ATTUNE_NATS_%s: %q\n", strings.ToUpper(role), secret)
	}
	text.WriteString(accounts)
	options := new(server.Options)
	if err := options.ProcessConfigString(text.String()); err != nil {
		return nil, err
	}
	return options, nil
}

// adopt moves the streams of a server from before there were accounts into the one they belong to.
func adopt(dir string) error {
	streams := filepath.Join(dir, server.JetStreamStoreDir)
	was, is := filepath.Join(streams, server.DEFAULT_GLOBAL_ACCOUNT), filepath.Join(streams, account)
	if _, err := os.Stat(is); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(was, is); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start NATS server: take over the streams of an earlier version: %w", err)
	}
	return nil
}

// OperatorFile is the file in a Server's directory that lets other programs of the same user work on its streams. It
// holds one line, the URL with the operator's password, which stays the same as long as the file is there.
const OperatorFile = "operator.url"

// OperatorURL returns the URL with the operator's password, for the server at an address given without credentials, when
// the server in dir is that one and this user may know; otherwise the address as it is.
func OperatorURL(address, dir string) string {
	given, err := url.Parse(address)
	if err != nil || given.User != nil {
		return address
	}
	known, err := readOperatorURL(filepath.Join(dir, OperatorFile))
	if err != nil || !sameServer(given, known) {
		return address
	}
	return known.String()
}

// GateURL is where an edge meets its clients on a server whose URL has the credentials of an edge or an operator. A URL
// without credentials is returned as it is.
func GateURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	password, _ := u.User.Password()
	u.User = url.UserPassword(gate, password)
	return u.String()
}

func sameServer(a, b *url.URL) bool {
	return a.Port() == b.Port() && (a.Hostname() == b.Hostname() || loopback(a.Hostname()) && loopback(b.Hostname()))
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func readOperatorURL(file string) (*url.URL, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	known, err := url.Parse(strings.TrimSpace(string(text)))
	if err != nil || known.User == nil || known.User.Username() != operator {
		return nil, fmt.Errorf("%s: not the URL of an operator", file)
	}
	return known, nil
}

// password is the one of an earlier run, so that programs that are connected stay so over a restart, or a new one.
func password(file string) (string, error) {
	known, err := readOperatorURL(file)
	switch {
	case err == nil:
		if password, set := known.User.Password(); set && password != "" {
			return password, nil
		}
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("password of the NATS operator: %w", err)
	}
	return rand.Text(), nil
}

// tellOperator writes the file. A server that opens no port has nobody to tell.
func (s *Server) tellOperator() error {
	if s.clientURL == "" {
		return nil
	}
	temporary := s.operatorFile + ".new"
	err := os.WriteFile(temporary, []byte(s.OperatorURL()+"\n"), 0o600)
	if err == nil {
		err = os.Rename(temporary, s.operatorFile)
	}
	if err != nil {
		return fmt.Errorf("password of the NATS operator: %w", err)
	}
	return nil
}
