package conservation

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is the way between two parts: a toxiproxy, behind a listener that stays. Taking a toxic out of a toxiproxy in use,
// and now and then putting one in, may block for ever (v2.5.0); here a fault ends with a new toxiproxy and with the end of
// all connections through the old one, which nobody waits for.
type link struct {
	name, upstream string
	listener       net.Listener

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
	conns map[net.Conn]struct{}
	cuts  int // calls of cut without mend
}

const (
	toxicPatience = 2 * time.Second // for a toxic to be put into a proxy in use
	lateClose     = 3 * time.Second // how long an old proxy may go on closing its connections slowly
)

func newLink(name, upstream string) (*link, error) {
	l := &link{name: name, upstream: upstream, conns: make(map[net.Conn]struct{})}
	var err error
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	if l.proxy, err = l.newProxy(""); err != nil {
		return nil, err
	}
	go l.serve()
	return l, nil
}

// newProxy starts a toxiproxy, with a toxic unless that is empty.
func (l *link) newProxy(toxic string) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, l.name, "127.0.0.1:0", l.upstream)
	if toxic != "" {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return nil, fmt.Errorf("link %s: toxic %s: %w", l.name, toxic, err)
		}
	}
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("link %s: %w", l.name, err)
	}
	return proxy, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) serve() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.pass(conn)
	}
}

// pass connects a client to the proxy of the moment.
func (l *link) pass(client net.Conn) {
	l.mu.Lock()
	if l.cuts > 0 {
		l.mu.Unlock()
		reset(client)
		return
	}
	proxy, err := net.Dial("tcp", l.proxy.Listen)
	if err != nil {
		l.mu.Unlock()
		reset(client)
		return
	}
	l.conns[client], l.conns[proxy] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { pipe(proxy, client) })
	wg.Go(func() { pipe(client, proxy) })
	wg.Wait()
	l.mu.Lock()
	delete(l.conns, client)
	delete(l.conns, proxy)
	l.mu.Unlock()
}

// pipe copies until one side ends, and ends the other in the same way.
func pipe(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to)
		reset(from)
		return
	}
	_ = to.Close()
}

// reset closes a connection so that the other side sees a reset.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// poison adds a toxic, of a type and with attributes as toxiproxy's API has them, in one direction, to all connections.
func (l *link) poison(toxic, stream, attributes string) error {
	text := fmt.Sprintf(`{"name": "it", "type": %q, "stream": %q, "attributes": {%s}}`, toxic, stream, attributes)
	l.mu.Lock()
	proxy := l.proxy
	l.mu.Unlock()
	added := make(chan error, 1)
	go func() {
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(text))
		added <- err
	}()
	select {
	case err := <-added:
		if err != nil {
			return fmt.Errorf("link %s: toxic %s: %w", l.name, text, err)
		}
		return nil
	case <-time.After(toxicPatience):
		return l.renew(text)
	}
}

// cure ends all connections and lets new ones pass unharmed.
func (l *link) cure() error { return l.renew("") }

func (l *link) renew(toxic string) error {
	proxy, err := l.newProxy(toxic)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.proxy
	time.AfterFunc(lateClose, old.Stop)
	l.proxy = proxy
	l.hangUp(func(c net.Conn) { _ = c.Close() })
	return nil
}

// hangUp ends all connections. The caller holds mu.
func (l *link) hangUp(end func(net.Conn)) {
	for c := range l.conns {
		end(c)
	}
	clear(l.conns)
}

// cut resets all connections and refuses new ones until mend.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts++
	l.hangUp(reset)
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts--
}

// close ends it for good.
func (l *link) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangUp(reset)
	go l.proxy.Stop()
}
