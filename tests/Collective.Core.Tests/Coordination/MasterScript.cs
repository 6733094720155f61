using System.Text;
using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Feeds a <see cref="MasterStateMachine"/> and writes down what goes in and what comes out.</summary>
internal sealed class MasterScript
{
    public const int HeartbeatTimeoutMs = 5000;

    private readonly MasterStateMachine _master = new(new MasterConfiguration(new RunId(new Guid("11111111111111111111111111111111")), Term: 1, HeartbeatTimeoutMs, SegmentBytes: 1 << 20));
    private readonly Dictionary<char, ConnectionId> _connections = [];
    private readonly HashSet<ConnectionId> _closed = [];
    private readonly Dictionary<char, RequestNumber> _syncs = [];
    private readonly StringBuilder _text = new();
    private readonly Queue<ProbeLink> _probes = new();
    private long _nowMs;
    private ulong _request;
    private bool _silent;

    public MasterScript(string title) => _text.Append("# ").Append(title).Append('\n');

    /// <summary>Compares the transcript with Transcripts/Master/(test's name).txt.</summary>
    public void Check(string? variant = null)
    {
        var name = TestContext.CurrentContext.Test.MethodName! + (variant is null ? "" : $"_{variant}");
        GoldenFile.Check($"Transcripts/Master/{name.Replace('_', '-').ToLowerInvariant()}.txt", _text.ToString());
    }

    /// <summary>What comes before the scenario proper: peers of one or more groups, admitted, their epochs standing.</summary>
    public MasterScript Given(params (uint Group, string Peers)[] groups)
    {
        _silent = true;
        foreach (var (group, peers) in groups)
        {
            foreach (var peer in peers)
            {
                Join(peer, group);
            }
        }

        UpdateTopology();
        _silent = false;
        foreach (var group in _master.Groups)
        {
            _text.Append($"given {group.Group}: [{string.Join(' ', group.Ring.Select(p => Describe.Name(p.Id)))}], {group.Epoch} stands\n");
            Assert.That(group.Standing);
        }

        return this;
    }

    public MasterScript Given(string peers) => Given((0, peers));

    public MasterScript Note(string text)
    {
        _text.Append("# ").Append(text).Append('\n');
        return this;
    }

    public MasterScript Connect(char peer, PeerAddress? remote = null, PeerAddress local = default)
    {
        var connection = new ConnectionId(_connections.Count + 1);
        _connections.Add(peer, connection);
        var from = remote ?? Describe.Remote(peer);
        return Step($"{peer} connects from {from}", new MasterInput.Connected(connection, from, Describe.Peer(peer), local));
    }

    public MasterScript Join(char peer, uint group = 0, PeerAddress? remote = null, ushort minimumWorldSize = 1, bool keeps = false, string? fingerprint = null, ushort? dataPort = null)
        => Connect(peer, remote).Receive(peer, new Hello(MessageCodec.Version, new PeerGroup(group), dataPort ?? Describe.DataPort(peer), minimumWorldSize)
        {
            KeepsMinimum = keeps,
            Fingerprints = fingerprint is null ? [] : [new Fingerprint("", fingerprint)],
        });

    /// <summary>Peers of group 0 that ask for this many, for good; admitted, their epoch standing.</summary>
    public MasterScript GivenKeepers(string peers, ushort minimumWorldSize, bool synced = false)
    {
        _silent = true;
        foreach (var peer in peers)
        {
            Join(peer, minimumWorldSize: minimumWorldSize, keeps: true);
        }

        Ready(peers);
        if (synced)
        {
            Sync(peers, "w:1");
        }

        _silent = false;
        return Note($"Given: {peers}, of which each asks for {minimumWorldSize} members as long as it is there{(synced ? ", and which have synchronized" : "")}.");
    }

    public MasterScript Announce(string peers, string? fingerprint, string scope = "") => Receive(peers, _ => new Announce(scope, fingerprint));

    public MasterScript Receive(char peer, Message message) => Step($"{peer}: {Describe.Text(message)}", new MasterInput.Received(_connections[peer], message));

    public MasterScript Receive(string peers, Func<char, Message> message)
    {
        foreach (var peer in peers)
        {
            Receive(peer, message(peer));
        }

        return this;
    }

    /// <summary>Every one of these peers acknowledges its group's epoch.</summary>
    public MasterScript Ready(string peers) => Receive(peers, p => new EpochReady(EpochOf(p)));

    public MasterScript Vote(string peers) => Receive(peers, _ => new TopologyVote(new RequestNumber(++_request)));

    public MasterScript VoteOptimize(string peers) => Receive(peers, _ => new OptimizeVote(new RequestNumber(++_request)));

    /// <summary>All probes that are under way are measured, and those that follow, until there are none; <paramref name="mbit"/> of a pair, null where it fails.</summary>
    public MasterScript Measure(Func<char, char, double?> mbit, int probes = int.MaxValue)
    {
        for (; probes > 0 && _probes.TryDequeue(out var probe); probes--)
        {
            var (from, to) = (Describe.Name(probe.From.Id), Describe.Name(probe.To.Id));
            _ = mbit(from, to) is { } rate ? Measured(to, probe.Number, rate) : ProbeFails(from, probe.Number);
        }

        return this;
    }

    /// <summary>Probes under way, without the one that <see cref="Measure"/> asks about.</summary>
    public int ProbesOpen => _probes.Count;

    public MasterScript Measured(char target, ulong number, double mbit) => Receive(target, new ProbeDone((1UL << 48) | number, Ok: true, (ulong)(mbit * 125_000), ""));

    public MasterScript ProbeFails(char peer, ulong number) => Receive(peer, new ProbeDone((1UL << 48) | number, Ok: false, 0, "connection refused"));

    /// <summary>The ring order of the peer's group.</summary>
    public string RingOf(char peer) => string.Concat(_master.Groups.First(g => g.Ring.Exists(p => p.Id == Describe.Peer(peer))).Ring.Select(p => Describe.Name(p.Id)));

    /// <summary>Takes its last request back.</summary>
    public MasterScript Withdraw(char peer) => Receive(peer, new Withdraw(new RequestNumber(_request)));

    public MasterScript Query(string peers) => Receive(peers, _ => new PendingQuery(new RequestNumber(++_request)));

    /// <summary>These peers vote for a shared state, written as <see cref="Describe.Entries"/> reads it.</summary>
    public MasterScript Sync(string peers, string state, ulong revision = 0, SyncStrategy strategy = SyncStrategy.EnforcePopular, RevisionRule rule = RevisionRule.Grows)
        => Receive(peers, p => new SharedStateVote(_syncs[p] = new RequestNumber(++_request), new Revision(revision), rule, strategy, Describe.Entries(state)));

    public MasterScript Fetched(string peers) => Receive(peers, p => new SharedStateDone(_syncs[p], Ok: true, ""));

    public MasterScript FetchFails(char peer, string detail) => Receive(peer, new SharedStateDone(_syncs[peer], Ok: false, detail));

    public MasterScript Accuse(char peer, char holder, bool wrongBytes = true)
        => Receive(peer, new HolderFailed(_syncs[peer], Describe.Peer(holder), wrongBytes, wrongBytes ? "block 3 of w" : "connection refused"));

    public MasterScript WithdrawSync(char peer) => Receive(peer, new Withdraw(_syncs[peer]));

    public MasterScript AskWhenAlone(char peer) => Receive(peer, new AdmitWhenAlone(new RequestNumber((1UL << 63) + ++_request)));

    public MasterScript Start(string peers, ulong tag, ulong count = 10, DataType type = DataType.Float32, ReduceOperation operation = ReduceOperation.Sum, uint ordinal = 0, Quantization quantization = default, string label = "")
        => Receive(peers, p => new CollectiveStart(new AttemptKey(EpochOf(p), new Tag(tag), ordinal), new CollectiveDescriptor(count, type, operation, quantization.ToByte(), label)));

    /// <summary>These peers enter a set with one of its tensors.</summary>
    public MasterScript Tensor(string peers, ulong tag, ushort tensor, ushort of, ulong count = 10)
        => Receive(peers, p => new CollectiveStart(new AttemptKey(EpochOf(p), new Tag(tag), 0, tensor), new CollectiveDescriptor(count, DataType.Float32, ReduceOperation.Sum, 0, "", of)));

    public MasterScript Promise(string peers, ulong tag, uint ordinal = 0)
        => Receive(peers, p => new CollectiveDone(new AttemptKey(EpochOf(p), new Tag(tag), ordinal), Ok: true, ""));

    public MasterScript GiveUp(char peer, ulong tag, string detail = "its caller cancelled")
        => Receive(peer, new CollectiveDone(new AttemptKey(EpochOf(peer), new Tag(tag), 0), Ok: false, detail));

    public MasterScript LinkFails(char peer, char neighbour, bool outgoing, Epoch? epoch = null)
        => Receive(peer, new LinkFailed(epoch ?? EpochOf(peer), Describe.Peer(neighbour), outgoing, "connection refused"));

    public MasterScript Progress(char peer, ulong sent, ulong received, uint stallTimeoutMs = 10_000)
        => Receive(peer, new LinkProgress(EpochOf(peer), new LinkBytes(sent, received), stallTimeoutMs));

    /// <summary>These peers answer a survey: they do not reach those.</summary>
    public MasterScript Surveyed(string peers, string unreachable) => Receive(peers, p => new LinksSurveyed(EpochOf(p), [.. RingOf(p).Where(other => other != p && unreachable.Contains(other)).Select(other => (ushort)RingOf(p).IndexOf(other))]));

    /// <summary>A link that the present ring has to this peer fails.</summary>
    public MasterScript LinkToFails(char peer) => LinkFails(RingOf(peer)[(RingOf(peer).IndexOf(peer) + RingOf(peer).Length - 1) % RingOf(peer).Length], peer, outgoing: true);

    /// <summary>Seconds pass in which these peers are heard, and say what has moved on their links; not written down.</summary>
    public MasterScript WhileMoving(int seconds, Func<int, (char Peer, ulong Sent, ulong Received)[]> progress)
    {
        _silent = true;
        for (var i = 1; i <= seconds; i++)
        {
            Tick(1000);
            foreach (var (peer, sent, received) in progress(i))
            {
                Beat($"{peer}").Progress(peer, sent, received);
            }
        }

        _silent = false;
        return Note($"{seconds} s pass.");
    }

    public MasterScript Violate(char peer, string reason) => Step($"{peer} violates: {reason}", new MasterInput.Violated(_connections[peer], reason));

    public MasterScript Lose(char peer, string reason = "its connection closed") => Step($"{peer} disconnects: {reason}", new MasterInput.Disconnected(_connections[peer], reason));

    public MasterScript Tick(long afterMs)
    {
        _nowMs += afterMs;
        return Step($"Tick at {_nowMs} ms", new MasterInput.Tick());
    }

    /// <summary>The peer's heartbeat arrives now.</summary>
    public MasterScript Beat(string peers) => Receive(peers, _ => new Heartbeat());

    /// <summary>Seconds pass in which these peers are heard; not written down.</summary>
    public MasterScript WhileBeating(string peers, int seconds)
    {
        _silent = true;
        for (var i = 0; i < seconds; i++)
        {
            Tick(1000).Beat(peers);
        }

        _silent = false;
        return Note($"{seconds} s pass in which {peers} are heard.");
    }

    /// <summary>Epoch of the group the peer is admitted to.</summary>
    public Epoch EpochOf(char peer) => _master.Groups.FirstOrDefault(g => g.Ring.Exists(p => p.Id == Describe.Peer(peer)))?.Epoch ?? Epoch.None;

    private void UpdateTopology()
    {
        Stand();
        Receive(string.Concat(Admitted()), _ => new TopologyVote(default));
        Stand();
    }

    private void Stand()
    {
        foreach (var group in _master.Groups.Where(g => !g.Standing).ToArray())
        {
            Ready(string.Concat(group.Ring.Select(p => Describe.Name(p.Id))));
        }
    }

    private char[] Admitted() => [.. _master.Peers.Where(p => p.Admitted).Select(p => Describe.Name(p.Id))];

    private MasterScript Step(string line, MasterInput input)
    {
        if (input is MasterInput.Disconnected lost)
        {
            _closed.Add(lost.Connection);
        }

        var outputs = _master.Step(_nowMs, input).ToArray();
        _master.AssertDeepInvariants();
        foreach (var probe in outputs.OfType<MasterOutput.Send>().Select(s => s.Message).OfType<ProbeLink>().Distinct())
        {
            _probes.Enqueue(probe);
        }

        Write($"> {line}");
        for (var i = 0; i < outputs.Length; i++)
        {
            Write($"  {Describe.Text(outputs[i], c => NameOf(c, outputs[i]))}");
            if (outputs[i] is not MasterOutput.Send send)
            {
                continue;
            }

            // One message to several peers in a row is one line.
            var names = new List<char> { NameOf(send.Connection, send) };
            while (i + 1 < outputs.Length && outputs[i + 1] is MasterOutput.Send next && next.Message == send.Message)
            {
                names.Add(NameOf(next.Connection, next));
                i++;
            }

            Amend(names);
        }

        return this;
    }

    /// <summary>Puts all addressees of the last line in the place of its first.</summary>
    private void Amend(List<char> names)
    {
        if (_silent || names.Count == 1)
        {
            return;
        }

        var start = $"  send {names[0]} ";
        var at = _text.ToString().LastIndexOf('\n', _text.Length - 2) + 1;
        _text.Remove(at, start.Length).Insert(at, $"  send {string.Join(',', names)} ");
    }

    private char NameOf(ConnectionId connection, MasterOutput output)
    {
        Assert.That(_closed, Does.Not.Contain(connection), $"{output} to a connection that is closed");
        if (output is MasterOutput.Close)
        {
            _closed.Add(connection);
        }

        return _connections.Single(c => c.Value == connection).Key;
    }

    private void Write(string line)
    {
        if (!_silent)
        {
            _text.Append(Describe.WithNames(line)).Append('\n');
        }
    }
}
