"""The words that the rule-based writer knows: verbs that begin a name, and abbreviations spelled out."""

from collections.abc import Mapping
from types import MappingProxyType


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERBS = _words("""
    abort accept ack acquire activate adapt add adjust advance allocate allow analyze annotate append apply
    approve archive ask assert assign attach authenticate authorize autodiscover await back backup begin bind
    block bootstrap broadcast build bump calculate call cancel capture cast change check choose clean cleanup
    clear clone close collapse collect combine commit compare compile complete compose compress compute concat
    configure confirm connect construct consume continue convert copy count create decode decorate decrease
    decrypt defer define delete deliver denormalize deny deserialize destroy detach detect determine die disable
    discard disconnect discover dispatch display download draw drop dump emit enable encode encrypt end enqueue
    ensure enter enumerate escape establish evaluate evict exclude execute exit expand expect expire export
    extend extract fail feed fetch fill filter finalize find finish fire fix flatten flush follow force forget
    fork format forward free freeze gather generate get give grab grant group grow guess handle hash haunt hide
    highlight hijack humanize identify ignore import include increase increment indent infer inherit init
    initialise initialize inject insert inspect install instantiate invalidate invert invoke iterate join keep
    kill launch leave limit link list listen load locate lock log lookup maintain make map mark mask match
    measure merge migrate modify monitor mount move multiply nack negotiate normalise normalize notify observe
    obtain open order override pack pad parse patch pause peek perform pick ping poll pop populate post
    postprocess prefetch prepare prepend preprocess preserve print process produce promote prompt propagate
    provide prune publish pull purge push put query queue quote raise randomize read reap rebuild receive
    recompute reconnect record recover redirect reduce refresh register reject release reload remove rename
    render reorder repair repeat replace report request requeue require reraise reserve reset resize resolve
    restart restore resume retrieve retry return reverse revert revive revoke rewind rewrite roll rollback
    rotate round route run save say scale scan schedule search seek select send serialize serve set setup shift
    show shuffle shut shutdown sign signal simplify skip sleep slice solve sort spawn split start stop store
    stream strip submit subscribe substitute subtask subtract sum suspend swap switch sync synchronize tag take
    teardown tell terminate test throw tick toggle touch trace track train transfer transform translate traverse
    trigger trim truncate try tune unbind unblock undo unescape uninstall unlink unlock unmount unpack
    unregister unsubscribe unwrap update upgrade upload use validate verify visit wait wake walk warn watch wrap
    write yield zip
""")
"""First words that make a name a command."""

SPELLED: Mapping[str, str] = MappingProxyType(
    {
        "init": "initialize",
        "setup": "set up",
        "teardown": "tear down",
        "cleanup": "clean up",
        "lookup": "look up",
        "shutdown": "shut down",
        "concat": "concatenate",
        "recv": "receive",
        "del": "delete",
        "calc": "calculate",
        "gen": "generate",
        "exec": "execute",
        "sync": "synchronize",
        "backup": "back up",
        "rollback": "roll back",
        "fmt": "format",
        "rm": "remove",
        "mk": "make",
        "upd": "update",
        "eval": "evaluate",
        "prep": "prepare",
    }
)
"""Verbs that names abbreviate."""

NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "abs": "absolute",
        "args": "arguments",
        "arg": "argument",
        "attr": "attribute",
        "attrs": "attributes",
        "buf": "buffer",
        "callback": "callback",
        "cb": "callback",
        "cfg": "configuration",
        "cls": "class",
        "cmd": "command",
        "conf": "configuration",
        "config": "configuration",
        "conn": "connection",
        "ctx": "context",
        "db": "database",
        "desc": "description",
        "dest": "destination",
        "dir": "directory",
        "dirs": "directories",
        "dst": "destination",
        "elem": "element",
        "env": "environment",
        "err": "error",
        "evt": "event",
        "exc": "exception",
        "expr": "expression",
        "fn": "function",
        "fname": "file name",
        "filename": "file name",
        "fun": "function",
        "func": "function",
        "fut": "future",
        "id": "ID",
        "ids": "IDs",
        "idx": "index",
        "impl": "implementation",
        "info": "information",
        "iter": "iterator",
        "kw": "keyword arguments",
        "kwargs": "keyword arguments",
        "len": "length",
        "lib": "library",
        "lst": "list",
        "max": "maximum",
        "mem": "memory",
        "min": "minimum",
        "mod": "module",
        "msg": "message",
        "num": "number of",
        "obj": "object",
        "opt": "option",
        "opts": "options",
        "param": "parameter",
        "params": "parameters",
        "pkg": "package",
        "prev": "previous",
        "proc": "process",
        "prop": "property",
        "props": "properties",
        "pwd": "password",
        "regex": "regular expression",
        "repr": "representation",
        "req": "request",
        "res": "result",
        "resp": "response",
        "ret": "return value",
        "spec": "specification",
        "src": "source",
        "stmt": "statement",
        "str": "string",
        "sep": "separator",
        "tb": "traceback",
        "tmp": "temporary",
        "val": "value",
        "vals": "values",
        "var": "variable",
        "vars": "variables",
        "ver": "version",
        "http": "HTTP",
        "url": "URL",
        "uri": "URI",
        "json": "JSON",
        "html": "HTML",
        "api": "API",
        "sql": "SQL",
        "xml": "XML",
        "csv": "CSV",
        "ssl": "SSL",
        "tls": "TLS",
        "tcp": "TCP",
        "udp": "UDP",
        "ip": "IP",
        "uuid": "UUID",
        "cpu": "CPU",
        "io": "I/O",
        "utc": "UTC",
        "ascii": "ASCII",
        "utf8": "UTF-8",
        "amqp": "AMQP",
        "uid": "user ID",
        "gid": "group ID",
        "pid": "process ID",
        "eta": "ETA",
        "rpc": "RPC",
        "os": "operating system",
        "ui": "user interface",
        "dict": "dictionary",
        "int": "integer",
        "bool": "boolean",
        "oid": "object ID",
        "jid": "job ID",
        "css": "CSS",
        "js": "JavaScript",
    }
)
"""Nouns that names abbreviate, and acronyms."""

PREDICATES = _words("is has can should needs supports allows contains was are does will")
"""First words that make a name a question."""

PREPOSITIONS = _words(
    "about by for from in into of on to with as at over per via without until after before if and or when"
)
PARTICLES = _words("up down out off back away over")
"""What belongs to the verb before it (``scale_up``)."""

FOR = _words("wait listen look search ask")
"""Verbs that take "for" before their object."""

BARE = _words("about as if and or when")
"""Those that no article follows."""

YES_NO = _words("is has can should enable disable use allow no with without include skip force")
"""First words of a flag that say what it does."""

FUNCTIONS = _words("fn func fun callback cb hook handler")
"""Last words of a parameter that is called."""

ENGLISH = _words("the a of to is are and or if with from for that this it be as not by when returns return was has its")
"""Words that English texts do not do without."""

DOING = _words(
    "abort add apply autoscale cancel create delete get grow kill list login logout purge remove restart retry revoke "
    "send shrink shutdown start stop terminate update"
)
"""First or last words of a class that make it something that does this (``TaskRevoke``)."""

HANDLERS = _words("handler callback hook listener receiver cb")
"""Last words of a function that something else calls."""

FOREIGN = _words(
    "der die das und ist nicht den dem ein eine von wird mit auf gibt werden zu aus le la les des une est et du dans "
    "que pour el los las una del y en es para por con il gli della che di un sono per het een van niet voor jest nie"
)
"""Words that texts in other languages do not do without."""

ON_PARAM = _words("set add remove delete put append insert push discard send write register subscribe")
"""Methods of these names do it to their first parameter, not to their object."""
