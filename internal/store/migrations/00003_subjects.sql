-- +goose Up
-- +goose StatementBegin

-- Keys of apps' protocols: the relying party's public ones, and our own pairs. The private
-- halves are in doc, sealed.
create table app_keys (
    app      text not null,
    id       text not null,
    data_key text not null,
    doc      text not null,
    primary key (app, id)
);

-- What is known of apps' users, by keyed digest of app and user.
create table subjects (
    digest   text   not null primary key,
    due      bigint not null,
    data_key text   not null,
    doc      text   not null
);
create index subjects_due on subjects (due);

-- Requests that must not be taken twice, by keyed digest, until their time is over.
create table requests (
    digest text   not null primary key,
    due    bigint not null
);
create index requests_due on requests (due);
-- +goose StatementEnd
