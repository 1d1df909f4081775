-- The registry's shelf keeps a portrait apart from its person, names the model of the
-- embedding inside the sealed record, and finds people by mobile number. The journal keeps
-- what was paid for upstream. Bytes are base64 text, moments Unix milliseconds.

-- +goose Up
-- +goose StatementBegin

-- model is '' where sealed holds no embedding; portrait is '' where none is kept.
alter table people add column model text not null default '';
alter table people add column portrait text not null default '';

-- Embeddings that a newer model can make anew.
create index people_portraits on people (model, digest) where portrait <> '';

-- Keyed digests of mobile numbers, and whose they are.
create table people_mobiles (
    mobile text not null,
    person text not null,
    primary key (mobile, person)
);
create index people_mobiles_person on people_mobiles (person);

-- Calls to paid sources, written before they are made. ended is 0 while one is under way,
-- and for ever where the server died: such a call counts as charged. It holds no personal
-- data. cost is in millionths of the operator's currency, took in microseconds.
create table source_calls (
    id      text   not null primary key,
    source  text   not null,
    call    text   not null,
    log_id  text   not null,
    begun   bigint not null,
    ended   bigint not null,
    took    bigint not null,
    code    text   not null,
    charged bigint not null,
    cost    bigint not null
);
create index source_calls_source on source_calls (source, begun);
create index source_calls_log on source_calls (log_id);
-- +goose StatementEnd
