-- Both databases read this text as it stands: text, bigint and double precision only.
-- Bytes are base64 text. Moments are Unix milliseconds. data_key columns hold a data key
-- wrapped by the master key; doc and sealed columns are encrypted under it, except
-- plans.doc, which holds nothing that needs it.

-- Each file is one statement to goose, which then need not look for the semicolons in it.

-- +goose Up
-- +goose StatementBegin

-- token_digest is ekyc.Token.Digest(): no token is kept outside its sealed doc.
-- version counts updates; an update names the version that it started from.
create table sessions (
    token_digest text   not null primary key,
    app          text   not null,
    plan         text   not null,
    opened       bigint not null,
    due          bigint not null,
    version      bigint not null,
    data_key     text   not null,
    doc          text   not null
);
create index sessions_due on sessions (due, token_digest);

-- The API key is public and looked up; the secret is in doc.
create table apps (
    id       text not null primary key,
    api_key  text not null unique,
    data_key text not null,
    doc      text not null
);

create table plans (
    id  text not null primary key,
    app text not null,
    doc text not null
);

-- The ledger. It holds no personal data and outlives the sessions.
create table charges (
    id      text   not null primary key,
    app     text   not null,
    plan    text   not null,
    kind    text   not null,
    at      bigint not null,
    log_id  text   not null,
    attempt bigint not null
);

-- How many charges of a kind an app has, kept in the transaction that adds one.
create table charge_totals (
    app   text   not null,
    kind  text   not null,
    total bigint not null,
    primary key (app, kind)
);

-- Sealed records of the local registry, by keyed digest.
create table people (
    digest   text not null primary key,
    data_key text not null,
    sealed   text not null
);
-- +goose StatementEnd
