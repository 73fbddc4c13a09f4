// Fortio as a peer of the tests: its own packages (statistics, schedule, HTTP client, report), without
// its command line, whose scripting language needs modules from elsewhere. Also the server of the
// paper: net/http that waits before it answers.
//
//	hbk-fortio histogram            values on standard input, its histogram as JSON
//	hbk-fortio load [flags] URL     a run as `fortio load` makes it, its result as JSON
//	hbk-fortio server [flags]       the paper's server, with TLS when it is given a certificate
//	hbk-fortio report ADDRESS DIR   `fortio report`: reads results in DIR and serves them
//	hbk-fortio version              of Fortio's module and of Go, with whose net/http the server answers
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/stats"
	"fortio.org/fortio/ui"
)

// What the paper's server answers with: 30 bytes.
const body = "Hello from the server, client!"

func fail(err error) {
	fmt.Fprintln(os.Stderr, "hbk-fortio:", err)
	os.Exit(1)
}

func write(value any) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func histogram(arguments []string) {
	flags := flag.NewFlagSet("histogram", flag.ExitOnError)
	unit := flags.Float64("r", 0.001, "unit in seconds")
	offset := flags.Float64("offset", 0, "offset in seconds")
	list := flags.String("p", "50,75,90,99,99.9", "percentiles")
	flags.Parse(arguments)
	percentiles, err := stats.ParsePercentiles(*list)
	if err != nil {
		fail(err)
	}
	histogram := stats.NewHistogram(*offset, *unit)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		value, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			fail(err)
		}
		histogram.Record(value)
	}
	write(histogram.Export().CalcPercentiles(percentiles))
}

func load(arguments []string) {
	options := fhttp.HTTPRunnerOptions{}
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	flags.Float64Var(&options.QPS, "qps", 8, "requests per second; 0: as many as possible")
	flags.IntVar(&options.NumThreads, "c", 4, "connections")
	flags.DurationVar(&options.Duration, "t", 5*time.Second, "duration")
	flags.Int64Var(&options.Exactly, "n", 0, "exact number of calls")
	flags.Float64Var(&options.RunnerOptions.Resolution, "r", 0.001, "unit of the histogram in seconds")
	flags.BoolVar(&options.Uniform, "uniform", false, "offset the connections' clocks")
	flags.BoolVar(&options.NoCatchUp, "nocatchup", false, "skip what is missed")
	flags.DurationVar(&options.HTTPReqTimeOut, "timeout", 3*time.Second, "of a request")
	flags.StringVar(&options.CACert, "cacert", "", "root certificates")
	flags.StringVar(&options.Cert, "cert", "", "own certificate")
	flags.StringVar(&options.Key, "key", "", "its key")
	flags.Parse(arguments)
	if options.QPS == 0 {
		options.QPS = -1 // how Fortio's library says "as many as possible"
	}
	options.Percentiles = []float64{50, 75, 90, 99, 99.9}
	options.Out = io.Discard
	options.Init(flags.Arg(0))
	result, err := fhttp.RunHTTPTest(&options)
	if err != nil {
		fail(err)
	}
	write(result)
}

func server(arguments []string) {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address")
	delay := flags.Duration("delay", 0, "time before each answer")
	certificate := flags.String("cert", "", "certificate; TLS with it")
	key := flags.String("key", "", "its key")
	roots := flags.String("cacert", "", "roots that clients must be signed by")
	flags.Parse(arguments)
	handler := http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		time.Sleep(*delay)
		writer.Write([]byte(body))
	})
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fail(err)
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Handler: handler, TLSConfig: &tls.Config{}, Protocols: protocols}
	fmt.Println("listening on", listener.Addr())
	if *certificate == "" {
		fail(server.Serve(listener))
	}
	if *roots != "" {
		text, err := os.ReadFile(*roots)
		if err != nil {
			fail(err)
		}
		server.TLSConfig.ClientCAs = x509.NewCertPool()
		server.TLSConfig.ClientCAs.AppendCertsFromPEM(text)
		server.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
	}
	fail(server.ServeTLS(listener, *certificate, *key))
}

func report(arguments []string) {
	if len(arguments) != 2 {
		fail(fmt.Errorf("report ADDRESS DIR"))
	}
	if !ui.Report("", arguments[0], arguments[1]) {
		os.Exit(1)
	}
	select {}
}

func version([]string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		fail(fmt.Errorf("built without its modules' versions"))
	}
	for _, module := range info.Deps {
		if module.Path == "fortio.org/fortio" {
			fmt.Printf("fortio %s, server of %s net/http\n", module.Version, info.GoVersion)
			return
		}
	}
	fail(fmt.Errorf("no module is Fortio's"))
}

func main() {
	commands := map[string]func([]string){
		"histogram": histogram, "load": load, "server": server, "report": report,
		"version": version,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: hbk-fortio histogram|load|server|report|version ...")
		os.Exit(2)
	}
	commands[os.Args[1]](os.Args[2:])
}
