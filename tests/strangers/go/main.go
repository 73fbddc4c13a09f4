// hbk-go-tls: Go's crypto/tls as a stranger for tests/e2e/test_tls_strangers.py.
//
//	hbk-go-tls server PORT CERT KEY CA|- GROUP|- ALPN|-   a CA makes it ask for a client's certificate
//	hbk-go-tls client PORT CA NAME CERT|- KEY|- COUNT ALPN|-   COUNT connections, resuming
//
// A server writes "listening" and echoes; a client sends a line, awaits it, and writes whether its
// session was resumed.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

const deadline = 10 * time.Second

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hbk-go-tls:", err)
		os.Exit(1)
	}
}

func pool(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots
}

func protocols(list string) []string {
	if list == "-" {
		return nil
	}
	return []string{list}
}

func serve(args []string) {
	certificate, err := tls.LoadX509KeyPair(args[1], args[2])
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: protocols(args[5])}
	if args[3] != "-" {
		config.ClientCAs, config.ClientAuth = pool(args[3]), tls.RequireAndVerifyClientCert
	}
	if args[4] != "-" {
		group := map[string]tls.CurveID{
			"X25519": tls.X25519, "P-256": tls.CurveP256, "P-384": tls.CurveP384,
		}[args[4]]
		config.CurvePreferences = []tls.CurveID{group}
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+args[0], config)
	check(err)
	fmt.Println("listening")
	for {
		connection, err := listener.Accept()
		check(err)
		check(connection.SetDeadline(time.Now().Add(deadline)))
		if _, err := io.Copy(connection, connection); err != nil {
			fmt.Println("failed:", err)
		}
		_ = connection.Close()
	}
}

func shake(port string, config *tls.Config) bool {
	connection, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
	check(err)
	check(connection.SetDeadline(time.Now().Add(deadline)))
	_, err = connection.Write([]byte("hello from Go\n"))
	check(err)
	line, err := bufio.NewReader(connection).ReadString('\n')
	check(err)
	if line != "hello from Go\n" {
		check(fmt.Errorf("the echo was %q", line))
	}
	resumed := connection.ConnectionState().DidResume
	check(connection.Close())
	return resumed
}

func dial(args []string) {
	config := &tls.Config{
		RootCAs: pool(args[1]), ServerName: args[2], NextProtos: protocols(args[6]),
		ClientSessionCache: tls.NewLRUClientSessionCache(8), MinVersion: tls.VersionTLS13,
	}
	if args[3] != "-" {
		certificate, err := tls.LoadX509KeyPair(args[3], args[4])
		check(err)
		config.Certificates = []tls.Certificate{certificate}
	}
	count, err := strconv.Atoi(args[5])
	check(err)
	for i := 0; i < count; i++ {
		fmt.Println("resumed", shake(args[0], config))
	}
}

func main() {
	switch {
	case len(os.Args) == 8 && os.Args[1] == "server":
		serve(os.Args[2:])
	case len(os.Args) == 9 && os.Args[1] == "client":
		dial(os.Args[2:])
	default:
		check(fmt.Errorf("server or client, and their arguments: see main.go"))
	}
}
