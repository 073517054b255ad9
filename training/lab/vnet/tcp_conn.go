package vnet

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

// tcpConn is one side of a TCP connection: a tcp.Endpoint driven by the network's goroutine and its callers. The
// network's lock guards all of it.
type tcpConn struct {
	host     *Host
	key      connKey
	endpoint *tcp.Endpoint
	changed  sync.Cond    // there may be something to read, room to write, or an end
	backlog  *tcpListener // to be told when the connection is established; nil once it was
	alarmAt  time.Duration

	readDeadline, writeDeadline deadline
	readClosed                  bool
	closed                      bool  // by the application
	err                         error // network closed
}

// newConn registers a connection. The network's lock is held.
func (h *Host) newConn(key connKey, endpoint *tcp.Endpoint, backlog *tcpListener) *tcpConn {
	c := &tcpConn{host: h, key: key, endpoint: endpoint, backlog: backlog, alarmAt: never}
	c.changed.L = &h.network.mu
	h.conns[key] = c
	return c
}

// pump sends what the endpoint has to say and sets its alarm.
func (c *tcpConn) pump(now time.Duration) {
	n := c.host.network
	var s tcp.Segment
	for c.endpoint.Output(now, &s) {
		p := newPacket(network.TCP, c.local(), c.key.remote, s.Payload)
		p.segment = s
		p.segment.Payload = nil
		n.send(c.host, p)
	}
	if c.endpoint.Done() {
		c.forget()
	} else if at, set := c.endpoint.Deadline(); set && at < c.alarmAt {
		c.alarmAt = at
		n.schedule(event{at: at, kind: alarm, conn: c})
	}
}

func (c *tcpConn) local() netip.AddrPort { return netip.AddrPortFrom(c.host.addr, c.key.port) }

// forget takes the connection off the host; what was received can still be read.
func (c *tcpConn) forget() {
	if c.host.conns[c.key] == c {
		delete(c.host.conns, c.key)
	}
	c.changed.Broadcast()
}

// alarm lets the endpoint's timers run.
func (c *tcpConn) alarm(now time.Duration) {
	c.alarmAt = never
	c.endpoint.Tick(now)
	c.pump(now)
}

// receive hands a segment to the endpoint.
func (c *tcpConn) receive(now time.Duration, s tcp.Segment) {
	c.endpoint.Receive(now, &s)
	c.pump(now)
	if c.backlog != nil && c.endpoint.Established() {
		listener := c.backlog
		c.backlog = nil
		if !listener.offer(c) {
			c.endpoint.Abort()
			c.pump(now)
		}
	}
	c.changed.Broadcast()
}

// fail ends the connection when the network closes.
func (c *tcpConn) fail(err error) {
	c.err = err
	c.readDeadline.set(time.Time{}, nil)
	c.writeDeadline.set(time.Time{}, nil)
	c.changed.Broadcast()
}

func (c *tcpConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// connect waits for the handshake. A deadline of zero leaves it to TCP to give up.
func (c *tcpConn) connect(until time.Time) error {
	c.writeDeadline.set(until, &c.changed)
	defer c.writeDeadline.set(time.Time{}, nil)
	for {
		switch {
		case c.err != nil:
			return c.err
		case c.endpoint.Established():
			return nil
		case c.endpoint.Done():
			return ended(c.endpoint.Err())
		case c.writeDeadline.passed():
			c.endpoint.Abort()
			c.pump(c.host.network.now())
			return os.ErrDeadlineExceeded
		}
		c.changed.Wait()
	}
}

// ended is the error of a connection that is over, in the words of a real one.
func ended(err error) error {
	switch {
	case err == nil:
		return net.ErrClosed
	case errors.Is(err, tcp.ErrReset):
		return syscall.ECONNRESET
	case errors.Is(err, tcp.ErrRefused):
		return syscall.ECONNREFUSED
	default:
		return syscall.ETIMEDOUT
	}
}

func (c *tcpConn) Read(b []byte) (int, error) {
	n := c.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case c.err != nil:
			return 0, c.opError("read", c.err)
		case c.closed:
			return 0, c.opError("read", net.ErrClosed)
		case c.readDeadline.passed():
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		case c.readClosed:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		got, end := c.endpoint.Read(b)
		switch {
		case got > 0:
			c.pump(n.now())
			return got, nil
		case end:
			return 0, io.EOF
		case c.endpoint.Done():
			return 0, c.opError("read", ended(c.endpoint.Err()))
		}
		c.changed.Wait()
	}
}

// Write blocks while the send buffer is full.
func (c *tcpConn) Write(b []byte) (int, error) {
	n := c.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	written := 0
	for {
		switch {
		case c.err != nil:
			return written, c.opError("write", c.err)
		case c.closed:
			return written, c.opError("write", net.ErrClosed)
		case c.writeDeadline.passed():
			return written, c.opError("write", os.ErrDeadlineExceeded)
		case c.endpoint.Done():
			err := c.endpoint.Err()
			if err == nil {
				return written, c.opError("write", syscall.EPIPE)
			}
			return written, c.opError("write", ended(err))
		}
		if took := c.endpoint.Write(b[written:]); took > 0 {
			written += took
			c.pump(n.now())
			continue
		}
		if written == len(b) {
			return written, nil
		}
		if c.endpoint.WriteClosed() {
			return written, c.opError("write", syscall.EPIPE)
		}
		c.changed.Wait()
	}
}

// Close sends what was written and ends the connection in the background, as the default of SO_LINGER does.
func (c *tcpConn) Close() error { return c.shut(false) }

func (c *tcpConn) shut(abort bool) error {
	n := c.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.readDeadline.set(time.Time{}, nil)
	c.writeDeadline.set(time.Time{}, nil)
	c.changed.Broadcast()
	if n.closed {
		return nil
	}
	if now := n.now(); abort {
		c.endpoint.Abort()
		c.pump(now)
	} else {
		c.endpoint.Close(now)
		c.pump(now)
	}
	return nil
}

func (c *tcpConn) CloseRead() error {
	c.host.network.mu.Lock()
	defer c.host.network.mu.Unlock()
	c.readClosed = true
	c.endpoint.CloseRead()
	c.changed.Broadcast()
	return nil
}

func (c *tcpConn) CloseWrite() error {
	n := c.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.endpoint.CloseWrite()
	c.pump(n.now())
	return nil
}

func (c *tcpConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local()) }
func (c *tcpConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.key.remote) }

// ReadFrom copies a reader into the connection.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

func (c *tcpConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *tcpConn) SetReadDeadline(t time.Time) error  { return c.setDeadline(&c.readDeadline, t) }
func (c *tcpConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.writeDeadline, t) }

func (c *tcpConn) setDeadline(d *deadline, t time.Time) error {
	c.host.network.mu.Lock()
	defer c.host.network.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	d.set(t, &c.changed)
	c.changed.Broadcast()
	return nil
}

// SetLinger with 0 makes Close reset the peer; other values change nothing.
func (c *tcpConn) SetLinger(sec int) error {
	if sec == 0 {
		return c.shut(true)
	}
	return nil
}

// SetKeepAlive does nothing: a virtual network forgets no idle connection.
func (c *tcpConn) SetKeepAlive(bool) error { return nil }

// SetKeepAlivePeriod does nothing.
func (c *tcpConn) SetKeepAlivePeriod(time.Duration) error { return nil }

// SetNoDelay does nothing: data is always sent at once.
func (c *tcpConn) SetNoDelay(bool) error { return nil }

// SetWriteBuffer bounds what may wait to be sent or acknowledged.
func (c *tcpConn) SetWriteBuffer(bytes int) error {
	c.host.network.mu.Lock()
	defer c.host.network.mu.Unlock()
	c.endpoint.SetSendBuffer(bytes)
	return nil
}

// SetReadBuffer does nothing: the receive window is fixed.
func (c *tcpConn) SetReadBuffer(int) error { return nil }

// Stats is what the connection has been through.
func (c *tcpConn) Stats() tcp.Stats {
	c.host.network.mu.Lock()
	defer c.host.network.mu.Unlock()
	return c.endpoint.Stats()
}
