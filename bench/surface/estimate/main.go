// Command estimate prints what the two estimates of package codec say. It reads model.QualityInput as JSON, one a line
// (the delay in nanoseconds), and answers each with {"emodel":3.91,"measured":4.02}.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "estimate:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	encoder := json.NewEncoder(out)
	for {
		var q model.QualityInput
		if err := decoder.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a quality input: %w", err)
		}
		answer := struct {
			EModel   float64 `json:"emodel"`
			Measured float64 `json:"measured"`
		}{codec.Fullband{}.MOS(q), codec.Measured{}.MOS(q)}
		if err := encoder.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}
