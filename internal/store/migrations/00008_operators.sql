-- Who works at the console, and the journal of what they did. doc is sealed under the row's
-- data_key, and all that is read is read from it: the columns beside it are for looking up, and
-- changing them gives nobody a right. Those of the journal are covered by its sums.

-- +goose Up
-- +goose StatementBegin

-- name is a keyed digest.
create table operators (
    id       text   not null primary key,
    name     text   not null,
    data_key text   not null,
    doc      text   not null
);
create unique index operators_name on operators (name);

-- id is the digest of the cookie's value.
create table operator_sign_ins (
    id       text   not null primary key,
    account  text   not null,
    until    bigint not null,
    data_key text   not null,
    doc      text   not null
);
create index operator_sign_ins_account on operator_sign_ins (account);
create index operator_sign_ins_until on operator_sign_ins (until);

-- One-time links. id is the digest of the secret.
create table operator_links (
    id       text   not null primary key,
    kind     text   not null,
    account  text   not null,
    until    bigint not null,
    data_key text   not null,
    doc      text   not null
);

-- Tries to sign in, by a keyed digest of the name or the address.
create table operator_tries (
    id    text   not null primary key,
    count bigint not null,
    last  bigint not null,
    until bigint not null
);
create index operator_tries_last on operator_tries (last);

-- The journal. Lines are only ever added.
create table journal (
    seq      bigint not null primary key,
    at       bigint not null,
    account  text   not null,
    action   text   not null,
    object   text   not null,
    sum      text   not null,
    data_key text   not null,
    doc      text   not null
);
create index journal_at on journal (at, seq);
create index journal_action on journal (action, at, seq);
create index journal_account on journal (account, at, seq);
create index journal_object on journal (object, at, seq);

-- The journal's end, in one row; whoever changes something of operators locks it.
create table journal_head (
    id  bigint not null primary key,
    seq bigint not null,
    sum text   not null
);
insert into journal_head (id, seq, sum) values (1, 0, '');
-- +goose StatementEnd
