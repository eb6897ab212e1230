"""client.py CLIENT URL: what a program of an agent does with that client, written as its documentation has it.

HTTP clients fetch a page, upload a million zeros and read a stream of events; the SDKs ask plainly and streaming; `websockets` says
hello; `grpc` makes the calls of origins/grpc.ts. What comes back is printed. Proxy and trust come from the environment alone; an
error is left to Python to show.
"""
import asyncio
import sys

client, url = sys.argv[1:3]
zeros = bytes(1_000_000)


def show(text):
    print(text.strip(), flush=True)


def urllib():
    from urllib.request import Request, urlopen
    show(urlopen(url + '/page?x=1').read().decode())
    show(urlopen(Request(url + '/upload', data=zeros, method='POST')).read().decode())
    for line in urlopen(url + '/events'):
        show(line.decode())


def requests():
    import requests
    with requests.Session() as session:
        for method, path, data in (('GET', '/page?x=1', None), ('POST', '/upload', zeros)):
            answer = session.request(method, url + path, data=data)
            answer.raise_for_status()
            show(answer.text)
        for line in session.get(url + '/events', stream=True).iter_lines():
            show(line.decode())


def httpx(http2=False):
    import httpx
    with httpx.Client(http2=http2) as session:
        for method, path, content in (('GET', '/page?x=1', None), ('POST', '/upload', zeros)):
            answer = session.request(method, url + path, content=content)
            if http2:
                show(answer.http_version)
            if answer.is_error and http2:
                # HTTP/2 has no reason phrase for the exception to show.
                show(answer.text)
            answer.raise_for_status()
            show(answer.text)
        with session.stream('GET', url + '/events') as answer:
            for line in answer.iter_lines():
                show(line)


def httpx_http2():
    httpx(http2=True)


async def aiohttp():
    import aiohttp
    async with aiohttp.ClientSession(trust_env=True, raise_for_status=True) as session:
        async with session.get(url + '/page?x=1') as answer:
            show(await answer.text())
        async with session.post(url + '/upload', data=zeros) as answer:
            show(await answer.text())
        async with session.get(url + '/events') as answer:
            async for line in answer.content:
                show(line.decode())


async def websockets():
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus
    try:
        async with connect(url + '/socket') as socket:
            await socket.send('hello')
            show(await socket.recv())
    except InvalidStatus as refused:
        # Its message has the number alone.
        show(refused.response.body.decode())
        raise


def openai():
    from openai import OpenAI
    sdk = OpenAI(base_url=url + '/v1', api_key='sk-of-the-tests')
    question = {'model': 'stand-in', 'messages': [{'role': 'user', 'content': 'hello'}]}
    show(sdk.chat.completions.create(**question).choices[0].message.content)
    show(' '.join(chunk.choices[0].delta.content or '' for chunk in sdk.chat.completions.create(**question, stream=True)))
    show(sdk.responses.create(model='stand-in', input='hello').output_text)
    show(' '.join(event.delta for event in sdk.responses.create(model='stand-in', input='hello', stream=True) if event.type == 'response.output_text.delta'))


def anthropic():
    from anthropic import Anthropic
    sdk = Anthropic(base_url=url, api_key='sk-of-the-tests')
    question = {'model': 'stand-in', 'max_tokens': 100, 'messages': [{'role': 'user', 'content': 'hello'}]}
    show(sdk.messages.create(**question).content[0].text)
    with sdk.messages.stream(**question) as stream:
        show(' '.join(stream.text_stream))
        show(stream.get_final_message().stop_reason)


def grpc():
    import grpc
    scheme, host = url.split('://')
    channel = grpc.secure_channel(host + ':443', grpc.ssl_channel_credentials()) if scheme == 'https' else grpc.insecure_channel(host + ':80')
    words = {'request_serializer': str.encode, 'response_deserializer': bytes.decode}
    with channel:
        show(channel.unary_unary('/test.Echo/Unary', **words)('a', timeout=20))
        show(' '.join(channel.unary_stream('/test.Echo/Stream', **words)('b', timeout=20)))
        show(' '.join(channel.stream_stream('/test.Echo/Bidi', **words)(iter(['c', 'd']), timeout=20)))


called = globals()[client]
if asyncio.iscoroutinefunction(called):
    asyncio.run(called())
else:
    called()
