package client

import (
	"context"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/policy"
)

// receiver plays what the peer sends: network packets go into the jitter buffer, the loudspeaker's clock takes 20 ms
// out of it at a time.
type receiver struct {
	*playout.Player
	begin time.Time
	sink  func(pcm []int16)
}

func newReceiver(sink func(pcm []int16)) (*receiver, error) {
	decoder, err := opus.NewDecoder()
	if err != nil {
		return nil, err
	}
	player := playout.NewPlayer(playout.Config{Duration: opus.PacketDuration, Redundancy: opus.Redundancy}, decoder)
	return &receiver{Player: player, begin: time.Now(), sink: sink}, nil
}

// read feeds the jitter buffer until the track ends: with what a packet repeats, and with the packet.
func (r *receiver) read(track *webrtc.TrackRemote) {
	for {
		packet, attributes, err := track.ReadRTP()
		if err != nil {
			return
		}
		if !strings.EqualFold(track.Codec().MimeType, webrtc.MimeTypeOpus) {
			continue // redundant audio that the interceptor could not unpack
		}
		now := time.Since(r.begin)
		for _, frame := range policy.Repeated(attributes) {
			r.PushRedundant(now, frame.SequenceNumber, frame.Timestamp, frame.Payload)
		}
		r.Push(now, packet.SequenceNumber, packet.Timestamp, packet.Payload)
	}
}

// play takes 20 ms at a time until ctx ends.
func (r *receiver) play(ctx context.Context) {
	begin := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var played int64
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for due := int64(now.Sub(begin) / tick); played < due; played++ {
				pcm := r.Tick(time.Since(r.begin)) // not the ticker's time: a packet may have come since
				if r.sink != nil {
					r.sink(pcm)
				}
			}
		}
	}
}
