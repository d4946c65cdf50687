SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_keys (
    id integer NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    ending text NOT NULL,
    scopes json NOT NULL,
    rate double precision NOT NULL,
    burst integer NOT NULL,
    images_per_day bigint,
    open_jobs integer,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    due_at double precision DEFAULT '0'::double precision NOT NULL
);
CREATE SEQUENCE public.api_keys_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.api_keys_id_seq OWNED BY public.api_keys.id;
CREATE TABLE public.denied (
    digest bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.hosts (
    host text NOT NULL,
    holder text,
    held_until double precision DEFAULT '0'::double precision NOT NULL,
    delay double precision DEFAULT '0'::double precision NOT NULL,
    next_at double precision DEFAULT '0'::double precision NOT NULL,
    closed_until double precision DEFAULT '0'::double precision NOT NULL,
    code text,
    failures integer DEFAULT 0 NOT NULL,
    trips integer DEFAULT 0 NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    requests bigint DEFAULT '0'::bigint NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    has_waiting boolean DEFAULT false NOT NULL
);
CREATE TABLE public.items (
    job_id bigint NOT NULL,
    index bigint NOT NULL,
    ref text NOT NULL,
    custom_id text,
    ref_hash bigint DEFAULT '0'::bigint NOT NULL,
    original bigint
);
CREATE TABLE public.job_hosts (
    job_id bigint NOT NULL,
    host text NOT NULL,
    items bigint NOT NULL
);
CREATE TABLE public.jobs (
    id bigint NOT NULL,
    key text,
    name text,
    state text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    sealed boolean DEFAULT false NOT NULL,
    model_id integer NOT NULL,
    submitted bigint NOT NULL,
    digest text DEFAULT ''::text NOT NULL,
    published bigint DEFAULT '0'::bigint NOT NULL,
    max_failure_rate real,
    key_id integer,
    asked text DEFAULT ''::text NOT NULL,
    priority smallint DEFAULT '0'::smallint NOT NULL,
    malformed bigint DEFAULT '0'::bigint NOT NULL,
    rate real,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    holder text,
    held_until double precision
);
CREATE SEQUENCE public.jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.jobs_id_seq OWNED BY public.jobs.id;
CREATE TABLE public.key_usage (
    key_id integer NOT NULL,
    day integer NOT NULL,
    images bigint NOT NULL
);
CREATE TABLE public.malformed (
    job_id bigint NOT NULL,
    place integer NOT NULL,
    line bigint,
    lines bigint NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.models (
    id integer NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    labels json NOT NULL
);
CREATE SEQUENCE public.models_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.models_id_seq OWNED BY public.models.id;
CREATE TABLE public.progress (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    state text NOT NULL,
    code text,
    count bigint NOT NULL
);
CREATE SEQUENCE public.progress_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.progress_id_seq OWNED BY public.progress.id;
CREATE TABLE public.results (
    job_id bigint NOT NULL,
    index bigint NOT NULL,
    state text NOT NULL,
    code text,
    detail text NOT NULL,
    model_id integer NOT NULL,
    class_ids smallint[] NOT NULL,
    scores real[] NOT NULL,
    top_class smallint,
    top_score real,
    width integer,
    height integer,
    format text,
    bytes bigint,
    sha256 bytea,
    host text,
    final_url text,
    http_status smallint,
    attempts smallint NOT NULL,
    fetch_ms real,
    label_ms real,
    finished_at timestamp with time zone NOT NULL,
    reused boolean DEFAULT false NOT NULL
);
CREATE TABLE public.robots (
    origin text NOT NULL,
    body text NOT NULL,
    fetched_at double precision NOT NULL
);
CREATE TABLE public.suspects (
    job_id bigint NOT NULL,
    index bigint NOT NULL,
    trials smallint NOT NULL
);
CREATE TABLE public.thumbnails (
    sha256 bytea NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.upload_parts (
    job_id bigint NOT NULL,
    part integer NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.uploads (
    job_id bigint NOT NULL,
    name text NOT NULL,
    ref_column text NOT NULL,
    id_column text,
    charged boolean DEFAULT false NOT NULL,
    holder text,
    held_until double precision DEFAULT '0'::double precision NOT NULL
);
CREATE TABLE public.validators (
    ref_digest bytea NOT NULL,
    final_url text NOT NULL,
    etag text,
    last_modified text,
    sha256 bytea NOT NULL
);
CREATE TABLE public.waiting (
    id bigint NOT NULL,
    host text NOT NULL,
    job_id bigint NOT NULL,
    index bigint NOT NULL,
    ref text NOT NULL,
    attempt smallint NOT NULL,
    url text NOT NULL,
    hops smallint NOT NULL,
    holder text,
    earlier smallint NOT NULL
);
CREATE SEQUENCE public.waiting_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.waiting_id_seq OWNED BY public.waiting.id;
CREATE TABLE public.webhooks (
    job_id bigint NOT NULL,
    url text NOT NULL,
    secret text NOT NULL,
    state text NOT NULL,
    attempts smallint DEFAULT '0'::smallint NOT NULL,
    next_at double precision DEFAULT '0'::double precision NOT NULL,
    last_error text DEFAULT ''::text NOT NULL
);
ALTER TABLE ONLY public.api_keys ALTER COLUMN id SET DEFAULT nextval('public.api_keys_id_seq'::regclass);
ALTER TABLE ONLY public.jobs ALTER COLUMN id SET DEFAULT nextval('public.jobs_id_seq'::regclass);
ALTER TABLE ONLY public.models ALTER COLUMN id SET DEFAULT nextval('public.models_id_seq'::regclass);
ALTER TABLE ONLY public.progress ALTER COLUMN id SET DEFAULT nextval('public.progress_id_seq'::regclass);
ALTER TABLE ONLY public.waiting ALTER COLUMN id SET DEFAULT nextval('public.waiting_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0006');
INSERT INTO public.hosts VALUES ('good-01.example.com', 'gone', 1796053795.943244, 0, 0, 0, NULL, 0, 0, false, 0, 0, true);
INSERT INTO public.hosts VALUES ('good-04.example.com', 'gone', 1796053795.943244, 0, 0, 0, NULL, 0, 0, false, 0, 0, true);
INSERT INTO public.hosts VALUES ('blocked.example.com', NULL, 0, 0, 0, 0, NULL, 0, 0, true, 0, 1, false);
INSERT INTO public.items VALUES (1, 0, 'http://good-01.example.com:PORT/ok/0', NULL, -6755725755185423854, NULL);
INSERT INTO public.items VALUES (1, 1, 'http://good-02.example.com:PORT/ok/1', NULL, 4233861717322479113, NULL);
INSERT INTO public.items VALUES (1, 2, 'http://good-03.example.com:PORT/ok/2', NULL, 1371824134193905973, NULL);
INSERT INTO public.items VALUES (1, 3, 'http://good-04.example.com:PORT/ok/3', NULL, 4171793221910319597, NULL);
INSERT INTO public.items VALUES (1, 4, 'http://good-01.example.com:PORT/ok/4', NULL, -1658249030480062640, NULL);
INSERT INTO public.items VALUES (1, 5, 'http://good-02.example.com:PORT/ok/5', NULL, 2927417920393381922, NULL);
INSERT INTO public.items VALUES (1, 6, 'http://good-03.example.com:PORT/ok/6', NULL, 6695479417921543297, NULL);
INSERT INTO public.items VALUES (1, 7, 'http://good-04.example.com:PORT/ok/7', NULL, 6353479639518942997, NULL);
INSERT INTO public.items VALUES (1, 8, 'http://good-01.example.com:PORT/ok/8', NULL, 8649447070987381602, NULL);
INSERT INTO public.items VALUES (1, 9, 'http://good-02.example.com:PORT/ok/9', NULL, -3398134257638351284, NULL);
INSERT INTO public.items VALUES (1, 10, 'http://good-01.example.com:PORT/ok/0', NULL, -6755725755185423854, 0);
INSERT INTO public.items VALUES (1, 11, 'http://good-01.example.com:PORT/ok/4', NULL, -1658249030480062640, 4);
INSERT INTO public.items VALUES (1, 12, 'http://good-01.example.com:PORT/ok/12', NULL, 8080432018135963130, NULL);
INSERT INTO public.items VALUES (1, 13, 'http://good-02.example.com:PORT/ok/13', NULL, -8708348571459298212, NULL);
INSERT INTO public.items VALUES (1, 14, 'http://good-03.example.com:PORT/ok/14', NULL, 3620071459569139740, NULL);
INSERT INTO public.items VALUES (1, 15, 'http://good-04.example.com:PORT/status/410', NULL, 9084995235260838512, NULL);
INSERT INTO public.items VALUES (3, 0, 'http://good-06.example.com:PORT/ok/0', NULL, -4214206905169363949, NULL);
INSERT INTO public.items VALUES (3, 1, 'http://good-06.example.com:PORT/ok/1', NULL, 7600951501944853795, NULL);
INSERT INTO public.items VALUES (3, 2, 'http://good-06.example.com:PORT/ok/2', NULL, -4252177383865971828, NULL);
INSERT INTO public.items VALUES (3, 3, 'http://good-06.example.com:PORT/ok/3', NULL, 746087384282260664, NULL);
INSERT INTO public.job_hosts VALUES (1, 'good-01.example.com', 6);
INSERT INTO public.job_hosts VALUES (1, 'good-02.example.com', 4);
INSERT INTO public.job_hosts VALUES (1, 'good-03.example.com', 3);
INSERT INTO public.job_hosts VALUES (1, 'good-04.example.com', 3);
INSERT INTO public.job_hosts VALUES (3, 'good-06.example.com', 4);
INSERT INTO public.jobs VALUES (1, 'half-done', 'half done', 'running', '', true, 1, 16, '69c8e0a2faa9422342489f8068283ea7cae0c4c3754814ad4b75e832d3c2b05c', 12, NULL, NULL, '', 0, 0, NULL, '2026-11-30 15:49:54.208984+00', NULL, 'gone', 1796053794.766638);
INSERT INTO public.jobs VALUES (2, 'handed-in', 'handed in', 'submitting', '', false, 1, 0, '', 0, NULL, NULL, 'what was asked', 0, 0, NULL, '2026-11-30 15:49:55.038042+00', NULL, NULL, NULL);
INSERT INTO public.jobs VALUES (3, 'cancelled', NULL, 'cancelling', '', true, 1, 4, 'c9decc1bafaf323f4fcef0aa7994e851a16c162bf3d3305306883aa55479a9c6', 0, NULL, NULL, '', 0, 0, NULL, '2026-11-30 15:49:55.094001+00', NULL, NULL, NULL);
INSERT INTO public.models VALUES (1, 'lite0', 'VERSION', 'LABELS');
INSERT INTO public.progress VALUES (1, 1, 'succeeded', NULL, 4);
INSERT INTO public.progress VALUES (2, 1, 'failed', 'http_404', 1);
INSERT INTO public.progress VALUES (3, 1, 'succeeded', NULL, 1);
INSERT INTO public.progress VALUES (4, 3, 'succeeded', NULL, 1);
INSERT INTO public.results VALUES (1, 0, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1234, '\x899213bda6102b02c4131a91ed8d85d0ebf1a84de856e47b0c1762c3e45722c0', 'good-01.example.com', 'http://good-01.example.com:PORT/ok/0', 200, 1, 12.5, 30.25, '2026-11-30 15:49:54.506162+00', false);
INSERT INTO public.results VALUES (1, 1, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1235, '\x2d510504cf83ba96e61461707ca3174a0428b1c632053688f819a9b800b4ac20', 'good-02.example.com', 'http://good-02.example.com:PORT/ok/1', 200, 1, 12.5, 30.25, '2026-11-30 15:49:54.506207+00', false);
INSERT INTO public.results VALUES (1, 2, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1236, '\x28d7213ea63829ccc18cd18d892997c8825d84481bacfeed502a9ef4705b233d', 'good-03.example.com', 'http://good-03.example.com:PORT/ok/2', 200, 1, 12.5, 30.25, '2026-11-30 15:49:54.506219+00', false);
INSERT INTO public.results VALUES (1, 3, 'failed', 'http_404', '', 1, '{}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'good-04.example.com', NULL, 404, 1, NULL, NULL, '2026-11-30 15:49:54.506245+00', false);
INSERT INTO public.results VALUES (1, 5, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1239, '\x54d38c85d4e2f518be3e05b63e0003f5e19577e0cc04c9957ffd0a975378dffa', 'good-02.example.com', 'http://good-02.example.com:PORT/ok/5', 200, 1, 12.5, 30.25, '2026-11-30 15:49:54.506231+00', false);
INSERT INTO public.results VALUES (1, 10, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1234, '\x899213bda6102b02c4131a91ed8d85d0ebf1a84de856e47b0c1762c3e45722c0', 'good-01.example.com', 'http://good-01.example.com:PORT/ok/0', 200, 1, 12.5, 30.25, '2026-11-30 15:49:54.506162+00', true);
INSERT INTO public.results VALUES (3, 0, 'succeeded', NULL, '', 1, '{1,2,3,4,5}', '{0.5,0.25,0.125,0.0625,0.03125}', 1, 0.5, 512, 512, 'PNG', 1234, '\x78ea4fb0855ee32ca9c8fc9994c72e35a9d4895036f400041cc79240e0c687dd', 'good-06.example.com', 'http://good-06.example.com:PORT/ok/0', 200, 1, 12.5, 30.25, '2026-11-30 15:49:55.238012+00', false);
INSERT INTO public.robots VALUES ('http://good-01.example.com:PORT', 'User-agent: *
Disallow: /private/
', 1796053795.017803);
INSERT INTO public.suspects VALUES (1, 9, 1);
INSERT INTO public.thumbnails VALUES ('\x28d7213ea63829ccc18cd18d892997c8825d84481bacfeed502a9ef4705b233d', '\xffd87468756d626e61696c');
INSERT INTO public.thumbnails VALUES ('\x2d510504cf83ba96e61461707ca3174a0428b1c632053688f819a9b800b4ac20', '\xffd87468756d626e61696c');
INSERT INTO public.thumbnails VALUES ('\x54d38c85d4e2f518be3e05b63e0003f5e19577e0cc04c9957ffd0a975378dffa', '\xffd87468756d626e61696c');
INSERT INTO public.thumbnails VALUES ('\x899213bda6102b02c4131a91ed8d85d0ebf1a84de856e47b0c1762c3e45722c0', '\xffd87468756d626e61696c');
INSERT INTO public.thumbnails VALUES ('\x78ea4fb0855ee32ca9c8fc9994c72e35a9d4895036f400041cc79240e0c687dd', '\xffd87468756d626e61696c');
INSERT INTO public.upload_parts VALUES (2, 0, '\x75726c0a687474703a2f2f676f6f642d30352e6578616d706c652e636f6dHEXPORT2f6f6b2f');
INSERT INTO public.upload_parts VALUES (2, 1, '\x300a687474703a2f2f676f6f642d30352e6578616d706c652e636f6dHEXPORT2f6f6b2f310a687474703a2f2f676f6f642d30352e6578616d706c652e636f6dHEXPORT2f6f6b2f320a0a0a6e6f2075726c0a');
INSERT INTO public.uploads VALUES (2, 'list.csv', 'url', NULL, false, NULL, 0);
INSERT INTO public.validators VALUES ('\x0890a198b49816443bb5ae3b3100ee45', 'http://good-02.example.com:PORT/ok/1', '"1"', NULL, '\x2d510504cf83ba96e61461707ca3174a0428b1c632053688f819a9b800b4ac20');
INSERT INTO public.validators VALUES ('\x292d3ed6f8f1049352f5d7e2eac88716', 'http://good-03.example.com:PORT/ok/2', '"2"', NULL, '\x28d7213ea63829ccc18cd18d892997c8825d84481bacfeed502a9ef4705b233d');
INSERT INTO public.validators VALUES ('\x9439459e82f686970a3a6a308dd4bb88', 'http://good-01.example.com:PORT/ok/0', '"0"', NULL, '\x899213bda6102b02c4131a91ed8d85d0ebf1a84de856e47b0c1762c3e45722c0');
INSERT INTO public.validators VALUES ('\xf38f0c02703aae43e7a3bb26990ac880', 'http://good-02.example.com:PORT/ok/5', '"5"', NULL, '\x54d38c85d4e2f518be3e05b63e0003f5e19577e0cc04c9957ffd0a975378dffa');
INSERT INTO public.validators VALUES ('\x249c38da36e302307c48d0eafccd0e02', 'http://good-06.example.com:PORT/ok/0', '"0"', NULL, '\x78ea4fb0855ee32ca9c8fc9994c72e35a9d4895036f400041cc79240e0c687dd');
INSERT INTO public.waiting VALUES (2, 'good-01.example.com', 1, 8, 'http://good-01.example.com:PORT/ok/8', 2, 'http://good-01.example.com:PORT/ok/8', 0, NULL, 0);
INSERT INTO public.waiting VALUES (1, 'good-04.example.com', 1, 7, 'http://good-04.example.com:PORT/ok/7', 1, 'http://good-04.example.com:PORT/ok/7', 0, 'gone', 0);
SELECT pg_catalog.setval('public.api_keys_id_seq', 1, false);
SELECT pg_catalog.setval('public.jobs_id_seq', 3, true);
SELECT pg_catalog.setval('public.models_id_seq', 1, true);
SELECT pg_catalog.setval('public.progress_id_seq', 4, true);
SELECT pg_catalog.setval('public.waiting_id_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkey PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.denied
    ADD CONSTRAINT denied_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (host);
ALTER TABLE ONLY public.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (job_id, index);
ALTER TABLE ONLY public.job_hosts
    ADD CONSTRAINT job_hosts_pkey PRIMARY KEY (job_id, host);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_key_key UNIQUE (key);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.key_usage
    ADD CONSTRAINT key_usage_pkey PRIMARY KEY (key_id, day);
ALTER TABLE ONLY public.malformed
    ADD CONSTRAINT malformed_pkey PRIMARY KEY (job_id, place);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.progress
    ADD CONSTRAINT progress_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.results
    ADD CONSTRAINT results_pkey PRIMARY KEY (job_id, index);
ALTER TABLE ONLY public.robots
    ADD CONSTRAINT robots_pkey PRIMARY KEY (origin);
ALTER TABLE ONLY public.suspects
    ADD CONSTRAINT suspects_pkey PRIMARY KEY (job_id, index);
ALTER TABLE ONLY public.thumbnails
    ADD CONSTRAINT thumbnails_pkey PRIMARY KEY (sha256);
ALTER TABLE ONLY public.upload_parts
    ADD CONSTRAINT upload_parts_pkey PRIMARY KEY (job_id, part);
ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY public.validators
    ADD CONSTRAINT validators_pkey PRIMARY KEY (ref_digest);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (job_id);
CREATE INDEX hosts_with_waiting ON public.hosts USING btree (next_at) WHERE has_waiting;
CREATE INDEX items_by_original ON public.items USING btree (job_id, original, index) WHERE (original IS NOT NULL);
CREATE INDEX items_by_ref ON public.items USING btree (ref_hash, job_id);
CREATE INDEX jobs_by_state ON public.jobs USING btree (state);
CREATE UNIQUE INDEX models_by_name ON public.models USING btree (name, version);
CREATE INDEX progress_by_job ON public.progress USING btree (job_id);
CREATE INDEX results_by_class ON public.results USING btree (job_id, top_class, index) WHERE (top_class IS NOT NULL);
CREATE INDEX results_by_code ON public.results USING btree (job_id, code, index) WHERE (code IS NOT NULL);
CREATE INDEX results_by_content ON public.results USING btree (sha256, model_id, reused) WHERE (sha256 IS NOT NULL);
CREATE INDEX results_by_host ON public.results USING btree (job_id, host, index) WHERE (host IS NOT NULL);
CREATE INDEX waiting_by_host ON public.waiting USING btree (host, id);
CREATE UNIQUE INDEX waiting_by_item ON public.waiting USING btree (job_id, index);
CREATE INDEX webhooks_by_time ON public.webhooks USING btree (state, next_at);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.models(id);
