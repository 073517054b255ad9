package policy

import (
	"strings"
	"testing"
)

// FuzzDescribedRED: whatever a description says, payload types are found only where they are named.
func FuzzDescribedRED(f *testing.F) {
	// What Chrome offers, as far as it concerns audio.
	const chrome = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\n" +
		"a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n" +
		"a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:126 telephone-event/8000\r\n"
	if got, ok := describedRED(chrome); !ok || got != (redFormat{packed: 63, primary: 111}) {
		f.Fatalf("%+v, %v", got, ok)
	}
	f.Add(chrome)
	f.Add("m=audio 9 x 1 2\na=rtpmap:1 opus/48000/2\na=rtpmap:2 red/48000/2\na=fmtp:2 1/1")
	f.Add("m=audio 9 x 128 -1 +1\na=rtpmap:1 opus/48000/2\na=fmtp:2 /\nm=")
	f.Fuzz(func(t *testing.T, sdp string) {
		format, ok := describedRED(sdp)
		if !ok {
			return
		}
		lower := strings.ToLower(sdp)
		if format.packed > 127 || format.primary > 127 || !strings.Contains(lower, "red/48000/2") || !strings.Contains(lower, "opus/48000/2") {
			t.Errorf("%+v of %q", format, sdp)
		}
	})
}
