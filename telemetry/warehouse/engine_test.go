package warehouse_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// engineVersion is what the tests run on besides the server: a current ClickHouse, as a library inside a small program.
// testdata/engine/package-lock.json names the very version.
const engineMajor, engineMinor = 26, 7

const installEngine = "install it with: npm ci --prefix telemetry/warehouse/testdata/engine --no-audit --no-fund"

// engine is one process with one session; it answers one statement at a time.
type engine struct {
	mu    sync.Mutex
	in    io.WriteCloser
	out   *bufio.Reader
	cmd   *exec.Cmd
	used  string // database the session is in
	dir   string
	fault error // it does not answer any more
}

var (
	sharedEngine     *engine
	sharedEngineOnce sync.Once
	sharedEngineErr  error
)

// currentEngine is the engine that all tests share. Without it a test is skipped, and fails where CI is set.
func currentEngine(t testing.TB) *engine {
	t.Helper()
	if _, err := os.Stat(filepath.Join("testdata", "engine", "node_modules", "chdb", "package.json")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the current engine is missing; %s", installEngine)
		}
		t.Skipf("the current engine is missing; %s", installEngine)
	}
	sharedEngineOnce.Do(func() { sharedEngine, sharedEngineErr = startEngine() })
	if sharedEngineErr != nil {
		t.Fatalf("%v; %s", sharedEngineErr, installEngine)
	}
	return sharedEngine
}

func startEngine() (*engine, error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return nil, err
	}
	// A cluster that nobody reaches: enough to make tables in. And one of this engine alone: a server takes an address of
	// loopback with its own port for itself and connects to nobody.
	config := filepath.Join(dir, "config.xml")
	err = os.WriteFile(config, []byte("<clickhouse><timezone>UTC</timezone><tcp_port>9000</tcp_port><remote_servers><one><shard><replica>"+
		"<host>127.0.0.1</host><port>1</port></replica></shard></one><here><shard><replica>"+
		"<host>127.0.0.1</host><port>9000</port></replica></shard></here></remote_servers></clickhouse>"), 0o600)
	if err != nil {
		return nil, err
	}
	e := &engine{dir: dir, cmd: exec.Command("node", filepath.Join("testdata", "engine", "engine.mjs"), filepath.Join(dir, "data"), config)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReaderSize(out, 1<<20)
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the current engine: %w", err)
	}
	return e, nil
}

// closeEngine ends the shared engine, if a test has started it.
func closeEngine() {
	if sharedEngine == nil {
		return
	}
	_ = sharedEngine.in.Close() // it ends with its input
	_ = sharedEngine.cmd.Wait()
	_ = os.RemoveAll(sharedEngine.dir)
}

var engineFault = regexp.MustCompile(`Code: (\d+)\.`)

// run executes a statement in a database and returns the result in the format Native.
func (e *engine) run(database, sql string) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fault != nil {
		return nil, e.fault
	}
	if e.used != database {
		if _, err := e.ask("USE " + database); err != nil {
			return nil, err
		}
		e.used = database
	}
	return e.ask(sql)
}

func (e *engine) ask(sql string) ([]byte, error) {
	question, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return nil, err
	}
	var line []byte
	if _, err = e.in.Write(append(question, '\n')); err == nil {
		line, err = e.out.ReadBytes('\n')
	}
	if err != nil {
		e.fault = fmt.Errorf("the current engine does not answer to %.100q: %w", sql, err)
		return nil, e.fault
	}
	var answer struct{ Native, Error string }
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		exception := &clickhouse.Exception{Message: answer.Error}
		if m := engineFault.FindStringSubmatch(answer.Error); m != nil {
			code, _ := strconv.ParseInt(m[1], 10, 32)
			exception.Code = int32(code)
		}
		return nil, exception
	}
	return base64.StdEncoding.DecodeString(answer.Native)
}

// database is an empty database of a server: what opens it, and a plain connection to it.
type database struct {
	open func() *warehouse.Warehouse
	conn driver.Conn
}

// onServer is a database on the shared server.
func onServer(t testing.TB) database {
	t.Helper()
	dsn := warehousetest.Database(t)
	return database{func() *warehouse.Warehouse { return open(t, dsn) }, warehousetest.Raw(t, dsn)}
}

var databases atomic.Int64 // of the engine

// onEngine is a database of the current engine.
func onEngine(t testing.TB) database {
	t.Helper()
	e := currentEngine(t)
	name := fmt.Sprintf("test%d", databases.Add(1))
	if _, err := e.run("default", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := e.run("default", "DROP DATABASE "+name); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	connect := func() *engineConn { return &engineConn{engine: e, database: name, dir: dir} }
	return database{func() *warehouse.Warehouse {
		return warehouse.OnConn(connect(), name, engineMajor, engineMinor)
	}, connect()}
}

// onBoth runs a test on the server and on the current engine.
func onBoth(t *testing.T, test func(t *testing.T, empty func(testing.TB) database)) {
	t.Helper()
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		test(t, onServer)
	})
	t.Run("current", func(t *testing.T) {
		t.Parallel()
		test(t, onEngine)
	})
}

func TestEngineIsCurrent(t *testing.T) {
	t.Parallel()
	conn := onEngine(t).conn
	version := scalar[string](t, conn, "SELECT version()")
	if !strings.HasPrefix(version, fmt.Sprintf("%d.%d.", engineMajor, engineMinor)) {
		t.Errorf("the engine is %s, want %d.%d", version, engineMajor, engineMinor)
	}
	err := conn.Exec(t.Context(), "SELECT * FROM nowhere")
	if !strings.Contains(fmt.Sprint(err), "nowhere") {
		t.Errorf("got %v", err)
	}
}
