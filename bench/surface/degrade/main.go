// Command degrade sends speech through the codec, the loss and the jitter buffer of a call, and writes what is heard.
//
// It reads one job a line from standard input and answers each with one line, both JSON:
//
//	{"in":"a.wav","out":"b.wav","action":{...},"loss":{"mean":0.05,"burst":2},"seed":7}
//	{"out":"b.wav","loss":0.031,"burst":2.2,"sentLoss":0.049,"kbps":27.4,"leadIn":3,"seconds":8.1}
//
// The same job always gives the same sound. The scripts beside it score the sound; docs/quality.md tells the rest.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "degrade:", err)
		os.Exit(1)
	}
}

// run answers jobs until there are none left.
func run(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	decoder.DisallowUnknownFields()
	encoder := json.NewEncoder(out)
	for {
		var j job
		if err := decoder.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a job: %w", err)
		}
		a, err := j.do()
		if err != nil {
			return fmt.Errorf("%s as %v: %w", j.In, j.Action, err)
		}
		if err := encoder.Encode(a); err != nil {
			return fmt.Errorf("answer a job: %w", err)
		}
	}
}
