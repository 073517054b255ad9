package getstats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The steps of reading JSON as a stream: nothing is built that is not asked for.

// token is the next token; its fault says where, and not what.
func (r *reader) token() (json.Token, error) {
	t, err := r.json.Token()
	if err == nil {
		return t, nil
	}
	at := r.json.InputOffset()
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errLimit):
		return nil, err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it breaks off at byte %d; save it again, or cut it after its last whole line", errFormat, at)
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%w: no JSON at byte %d", errFormat, syntax.Offset)
	default:
		return nil, fmt.Errorf("at byte %d: %w", at, err)
	}
}

// open wants an opening bracket or brace.
func (r *reader) open(want json.Delim) error {
	t, err := r.token()
	if err == nil && t != want {
		err = fmt.Errorf("%w: want %q at byte %d", errFormat, want.String(), r.json.InputOffset())
	}
	return err
}

// object calls take for each key of an object; take reads the value.
func (r *reader) object(take func(key string) error) error {
	if err := r.open('{'); err != nil {
		return err
	}
	return r.fields(take)
}

// fields is object after the opening brace.
func (r *reader) fields(take func(key string) error) error {
	for r.json.More() {
		t, err := r.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%w: want a key at byte %d", errFormat, r.json.InputOffset())
		}
		if err := take(key); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// skip passes over one value.
func (r *reader) skip() error {
	t, err := r.token()
	if err != nil {
		return err
	}
	return r.rest(t)
}

// rest passes over what is left of a value that began with t.
func (r *reader) rest(t json.Token) error {
	depth := 0
	for {
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
		var err error
		if t, err = r.token(); err != nil {
			return err
		}
	}
}

// text reads a string; another kind of value is passed over and leaves it as it was.
func (r *reader) text(into *string) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if s, ok := t.(string); ok {
		*into = s
	}
	return r.rest(t)
}

// name reads a short string, or a number as one; empty for anything else.
func (r *reader) name() (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	switch v := t.(type) {
	case string:
		if len(v) <= maxID {
			return v, nil
		}
	case float64:
		return strconv.Itoa(int(v)), nil
	}
	return "", r.rest(t)
}

// number reads a number; 0 for anything else.
func (r *reader) number() (float64, error) {
	t, err := r.token()
	if err != nil {
		return 0, err
	}
	v, _ := t.(float64)
	return v, r.rest(t)
}
