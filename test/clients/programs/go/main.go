// client CLIENT URL: fetches the URL with that client and prints the body (`upload` puts two million zeros there); of any answer but a
// success it prints status and body on standard error and ends with 1. `grpc` makes the three calls of origins/grpc.ts. Proxy and trust come from the environment alone.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func main() {
	clients := map[string]func(string) error{"http": fetch, "upload": upload, "grpc": call}
	if err := clients[os.Args[1]](os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fetch(address string) error {
	response, err := http.Get(address)
	return show(response, err)
}

func upload(address string) error {
	request, err := http.NewRequest(http.MethodPut, address, bytes.NewReader(make([]byte, 2_000_000)))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	return show(response, err)
}

func show(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s %s", response.Proto, response.Status, body)
	}
	_, err = os.Stdout.Write(body)
	return err
}

// text makes messages of plain text in place of protobuf.
type text struct{}

func (text) Name() string                         { return "proto" }
func (text) Marshal(message any) ([]byte, error)  { return []byte(*message.(*string)), nil }
func (text) Unmarshal(bytes []byte, to any) error { *to.(*string) = string(bytes); return nil }

func call(address string) error {
	target, err := url.Parse(address)
	if err != nil {
		return err
	}
	port, transport := "80", insecure.NewCredentials()
	if target.Scheme == "grpcs" {
		port, transport = "443", credentials.NewTLS(nil)
	}
	if target.Port() != "" {
		port = target.Port()
	}
	connection, err := grpc.NewClient(target.Hostname()+":"+port, grpc.WithTransportCredentials(transport), grpc.WithDefaultCallOptions(grpc.ForceCodec(text{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, made := range []func(context.Context, *grpc.ClientConn) (string, error){unary, stream, bidi} {
		answer, err := made(ctx, connection)
		if err != nil {
			return fmt.Errorf("%d %s: %s", status.Code(err), status.Code(err), status.Convert(err).Message())
		}
		fmt.Println(answer)
	}
	return nil
}

func unary(ctx context.Context, connection *grpc.ClientConn) (answer string, err error) {
	message := "a"
	err = connection.Invoke(ctx, "/test.Echo/Unary", &message, &answer)
	return
}

func stream(ctx context.Context, connection *grpc.ClientConn) (string, error) {
	client, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Echo/Stream")
	if err != nil {
		return "", err
	}
	message := "b"
	if err := client.SendMsg(&message); err != nil {
		return "", err
	}
	if err := client.CloseSend(); err != nil {
		return "", err
	}
	return rest(client, nil)
}

// The second is said once the first came back: neither side may be held until the other ends.
func bidi(ctx context.Context, connection *grpc.ClientConn) (string, error) {
	client, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Echo/Bidi")
	if err != nil {
		return "", err
	}
	var first string
	for _, message := range []string{"c", "d"} {
		if err := client.SendMsg(&message); err != nil {
			return "", err
		}
		if message == "c" {
			if err := client.RecvMsg(&first); err != nil {
				return "", err
			}
		}
	}
	if err := client.CloseSend(); err != nil {
		return "", err
	}
	return rest(client, []string{first})
}

func rest(client grpc.ClientStream, answers []string) (string, error) {
	for {
		var answer string
		err := client.RecvMsg(&answer)
		if errors.Is(err, io.EOF) {
			return strings.Join(answers, " "), nil
		}
		if err != nil {
			return "", err
		}
		answers = append(answers, answer)
	}
}
