import { json, whole, type Part } from './site.ts';
import type { OriginRequest, OriginResponse } from './listener.ts';

/** Stand-ins for the APIs of model providers: each says `plain` or `streamed` and the last thing that it was told. */

type Fields = Readonly<Record<string, unknown>>;

/** The events of a stream, each with its `event:` where it has a name. */
function stream(response: OriginResponse, events: readonly { readonly name?: string; readonly data: unknown }[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const { name, data } of events) response.write(`${name === undefined ? '' : `event: ${name}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  response.end();
}

const asked = (answer: (body: Fields, response: OriginResponse) => void): Part => (request: OriginRequest, response: OriginResponse) => {
  whole(request, (body) => answer(JSON.parse(body.toString()) as Fields, response));
};

const lastMessage = ({ messages }: Fields): string => {
  const [last] = (messages as readonly { readonly content: unknown }[]).slice(-1);
  return typeof last?.content === 'string' ? last.content : JSON.stringify(last?.content);
};

const completions = asked((body, response) => {
  const common = { id: 'chatcmpl-1', created: 1, model: body['model'] };
  if (body['stream'] !== true) {
    json(response, 200, {
      ...common, object: 'chat.completion', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: `plain ${lastMessage(body)}` } }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
    return;
  }
  const chunk = (content: string): unknown => ({ ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content }, finish_reason: null }] });
  stream(response, [...['streamed', lastMessage(body)].map((word) => ({ data: chunk(word) })), { data: '[DONE]' }]);
});

const responses = asked((body, response) => {
  const message = (text: string): unknown => ({
    id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }],
  });
  const answer = (output: readonly unknown[], status: string): unknown => ({
    id: 'resp_1', object: 'response', created_at: 1, model: body['model'], status, output, parallel_tool_calls: false, tool_choice: 'auto', tools: [],
  });
  const said = String(body['input']);
  if (body['stream'] !== true) {
    json(response, 200, answer([message(`plain ${said}`)], 'completed'));
    return;
  }
  const events = [
    { type: 'response.created', response: answer([], 'in_progress') },
    ...['streamed', said].map((delta) => ({ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta, logprobs: [] })),
    { type: 'response.completed', response: answer([message(`streamed${said}`)], 'completed') },
  ];
  stream(response, events.map((event, sequence_number) => ({ name: event.type, data: { ...event, sequence_number } })));
});

const messages = asked((body, response) => {
  const message = (content: readonly unknown[], stop_reason: string | null): unknown => ({
    id: 'msg_1', type: 'message', role: 'assistant', model: body['model'], content, stop_reason, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 2 },
  });
  if (body['stream'] !== true) {
    json(response, 200, message([{ type: 'text', text: `plain ${lastMessage(body)}` }], 'end_turn'));
    return;
  }
  const events: readonly ({ readonly type: string } & Fields)[] = [
    { type: 'message_start', message: message([], null) },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'ping' },
    ...['streamed', lastMessage(body)].map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } },
    { type: 'message_stop' },
  ];
  stream(response, events.map((data) => ({ name: data.type, data })));
});

export const models: Readonly<Record<string, Part>> = {
  '/v1/chat/completions': completions,
  '/v1/responses': responses,
  '/v1/messages': messages,
};
