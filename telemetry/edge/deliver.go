package edge

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/redact"
)

const (
	// patience is how long a pack is tried again when JetStream is there but has no leader, or the connection breaks:
	// long enough for most elections, short enough that clients hear of a fault before they lose patience themselves.
	patience = time.Second
	// pause is between two tries.
	pause = 50 * time.Millisecond

	codeMessageTooLarge jetstream.ErrorCode = 10054 // the message exceeds the stream's max_msg_size
	codeUnavailable     jetstream.ErrorCode = 10008 // JetStream system temporarily unavailable
)

// deliver publishes a pack and answers its clients.
func (e *Edge) deliver(p *pack) {
	e.tally.filled.Observe(float64(len(p.clients)))
	e.deliverPart(p.whole(), rand.Text())
	e.tally.seconds.Observe(time.Since(p.began).Seconds())
}

// deliverPart publishes some reports as one message. When the message is too large for the stream, its halves are tried,
// so that a client is only told so of its own report; later packs are made smaller.
func (e *Edge) deliverPart(p part, id string) {
	ack, err := e.publish(p.data, id)
	switch {
	case err == nil:
		e.tally.packs.Add(1)
		e.recent.add(p.clients, ack.Sequence)
		var space [answerSize]byte
		e.answer(p.clients, appendAck(space[:0], ack.Stream, ack.Domain, ack.Sequence, false))
		e.tally.acknowledged.Add(uint64(len(p.clients)))
		if e.bad.Swap(false) {
			e.cfg.Logger.Info("edge: packs are acknowledged again")
		}
	case oversized(err) && len(p.clients) > 1:
		e.shrink(len(p.data) / 2)
		first, second := p.halves()
		e.deliverPart(first, id+"a")
		e.deliverPart(second, id+"b")
	case oversized(err):
		e.answer(p.clients, answerTooLarge)
		e.tally.tooLarge.Add(1)
	default:
		if !e.bad.Swap(true) {
			e.cfg.Logger.Warn("edge: a pack is not acknowledged, its clients are told to send again",
				"reports", len(p.clients), "fault", faultText(err))
		}
		e.answer(p.clients, answerFault(err))
		e.tally.failed.Add(uint64(len(p.clients)))
	}
}

// publish sends one message and waits for the acknowledgement. What may pass is tried again under the same id, so that
// JetStream stores it once.
func (e *Edge) publish(data []byte, id string) (*jetstream.PubAck, error) {
	m := &nats.Msg{Subject: telemetry.PackSubject, Data: data, Header: nats.Header{nats.MsgIdHdr: []string{id}}}
	began := time.Now()
	for {
		ack, err := e.try(m)
		passing := errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrDisconnected)
		if err == nil || !passing || time.Since(began) > patience {
			return ack, err
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			e.recent.forget()
		}
		e.tally.retries.Add(1)
		select {
		case <-time.After(pause):
		case <-e.abandon:
			return nil, err
		}
	}
}

var errAbandoned = errors.New("the edge stops")

func (e *Edge) try(m *nats.Msg) (*jetstream.PubAck, error) {
	if !e.cfg.Back.IsConnected() {
		// Published now, it would wait in the connection and arrive when its clients have long sent again.
		return nil, nats.ErrDisconnected
	}
	// JetStream's own retries would read the message after this returns.
	future, err := e.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, err
	}
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		return nil, err
	case <-e.abandon:
		return nil, errAbandoned
	}
}

// shrink makes later packs smaller.
func (e *Edge) shrink(limit int) {
	for old := e.limit.Load(); int64(limit) < old; old = e.limit.Load() {
		if e.limit.CompareAndSwap(old, int64(limit)) {
			e.cfg.Logger.Warn("edge: the stream takes no message of this size, packs are made smaller", "bytes", limit)
			return
		}
	}
}

// answer sends the same answer to some clients. One that does not arrive is like one that was never sent: the client
// sends its report again.
func (e *Edge) answer(clients []client, data []byte) {
	for i := range clients {
		_ = e.cfg.Front.Publish(clients[i].reply, data)
	}
}

// answerSize is more than an acknowledgement takes; a longer one is allocated.
const answerSize = 128

// appendAck appends the JSON of a jetstream.PubAck.
func appendAck(b []byte, stream, domain string, sequence uint64, duplicate bool) []byte {
	b = append(b, `{"stream":`...)
	b = strconv.AppendQuote(b, stream)
	if domain != "" {
		b = append(b, `,"domain":`...)
		b = strconv.AppendQuote(b, domain)
	}
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, sequence, 10)
	if duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	return append(b, '}')
}

// answerTooLarge is JetStream's answer to a message above the stream's max_msg_size: a Reporter gives that report up.
var answerTooLarge = answerOf(&jetstream.APIError{Code: 400, ErrorCode: codeMessageTooLarge, Description: "message size exceeds maximum allowed"})

// answerFault passes JetStream's error on, or says that JetStream cannot be reached.
func answerFault(err error) []byte {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return answerOf(api)
	}
	return answerOf(&jetstream.APIError{Code: 503, ErrorCode: codeUnavailable, Description: "JetStream system temporarily unavailable"})
}

func answerOf(fault *jetstream.APIError) []byte {
	data, err := json.Marshal(struct {
		Error *jetstream.APIError `json:"error"`
	}{fault})
	if err != nil { // two numbers and a text always marshal
		panic(err)
	}
	return data
}

// oversized reports whether the server will never take a message of this size.
func oversized(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == codeMessageTooLarge
}

// faultText is an error as it may be logged.
func faultText(err error) string { return redact.Addresses(fmt.Sprint(err)) }
