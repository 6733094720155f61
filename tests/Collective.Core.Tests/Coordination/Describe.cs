using System.Globalization;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Core.Tests.Coordination;

/// <summary>Inputs, outputs and messages as one readable line each. Peers are called by letters: A is the peer whose id is all a.</summary>
internal static class Describe
{
    public static PeerId Peer(char name) => new(new Guid(new string(char.ToLowerInvariant(name), 32)));

    public static PeerAddress Remote(char name) => new(0x0A00_0000u + Number(name), IsIPv6: false, (ushort)(40_000 + Number(name)));

    public static PeerAddress Address(char name) => Remote(name) with { Port = DataPort(name) };

    public static ushort DataPort(char name) => (ushort)(5000 + Number(name));

    public static Member Member(char name) => new(Peer(name), Address(name));

    public static uint Number(char name) => (uint)(name - 'A' + 1);

    public static char Name(PeerId id) => char.ToUpperInvariant(id.Value.ToString("N")[0]);

    public static string Text(Message message) => message switch
    {
        Hello m => Of(m, $"version {m.Version}, {m.Group}, data port {m.DataPort}{(m.MinimumWorldSize > 1 ? $", at least {m.MinimumWorldSize}{(m.KeepsMinimum ? " for good" : "")}" : "")}{Or(", reached at", m.Announced)}{Or(", or at", m.Alternative)}{string.Concat(m.Fingerprints.Select(f => $", {Text(f.Scope, f.Text)}"))}"),
        Announce m => Of(m, Text(m.Scope, m.Text)),
        Waiting m => Of(m, $"{m.Seconds} s {m.Text}"),
        EpochReady m => Of(m, $"{m.Epoch}"),
        LinkFailed m => Of(m, $"{m.Epoch} {(m.Outgoing ? "to" : "from")} {Name(m.Neighbour)}: {m.Detail}"),
        LinkProgress m => Of(m, $"{m.Epoch}: {m.Bytes.Sent} bytes sent, {m.Bytes.Received} received (stalled after {m.StallTimeoutMs} ms)"),
        SurveyLinks m => Of(m, $"{m.Epoch}: ranks {string.Join(", ", m.Ranks)}"),
        LinksSurveyed m => Of(m, $"{m.Epoch}: {(m.Unreachable.Count == 0 ? "all reached" : $"not reached: ranks {string.Join(", ", m.Unreachable)}")}"),
        TopologyVote m => Of(m, $"request {Request(m.Request)}"),
        OptimizeVote m => Of(m, $"request {Request(m.Request)}"),
        ProbeDone m => Of(m, $"{Probe(m.Number)} {(m.Ok ? $"{m.BytesPerSecond} bytes/s" : $"failed: {m.Detail}")}"),
        ProbeLink m => Of(m, $"{Probe(m.Number)} from {Text(m.From)} to {Text(m.To)}"),
        Withdraw m => Of(m, $"request {Request(m.Request)}"),
        AdmitWhenAlone m => Of(m, $"request {Request(m.Request)}"),
        PendingQuery m => Of(m, $"request {Request(m.Request)}"),
        CollectiveStart m => Of(m, $"{m.Attempt}: {Text(m.Descriptor)}"),
        CollectiveDone m => Of(m, $"{m.Attempt} {(m.Ok ? "ok" : $"failed: {m.Detail}")}"),
        Welcome m => Of(m, $"as {Name(m.Id)}, heartbeat timeout {m.HeartbeatTimeoutMs} ms, segments of {m.SegmentBytes} bytes"),
        Refused m => Of(m, $"{m.Code}: {m.Reason}"),
        EpochOpened m => Of(m, $"{m.Epoch} [{Names(m.Members)}] because {m.Reason}{Text(m.Excluded)}{Text(m.Decisions)}"),
        EpochStands m => Of(m, $"{m.Epoch}, {Text(m.Sizes)}, because {m.Reason}{(m.KeptMinimum > 0 ? $" (must have {m.KeptMinimum})" : "")}"),
        TopologyUpdated m => Of(m, $"request {Request(m.Request)}, {(m.Error == default ? "ok" : $"{m.Error}: {m.Reason}")}, {Text(m.Sizes)}{(m.Newcomers ? ", with newcomers" : "")}"),
        PendingReply m => Of(m, $"request {Request(m.Request)}: {(m.Error != default ? $"{m.Error}: {m.Reason}" : m.Pending ? "somebody is pending" : "nobody is pending")}"),
        CollectiveGo m => Of(m, $"{m.Attempt}"),
        Verdict m => Of(m, $"{m.Attempt} committed"),
        Evicted m => Of(m, m.Reason),
        LocalFault m => Of(m, m.Reason),
        SharedStateVote m => Of(m, $"request {Request(m.Request)}, {Text(m.Revision, m.Rule, m.Strategy, m.Entries)}"),
        SharedStateDone m => Of(m, $"request {Request(m.Request)} {(m.Ok ? "ok" : $"failed: {m.Detail}")}"),
        HolderFailed m => Of(m, $"request {Request(m.Request)}: {Name(m.Holder)} {(m.WrongBytes ? "gave wrong bytes" : "failed")}: {m.Detail}"),
        SharedStatePlan m => Of(m, $"request {Request(m.Request)}, {Text(m)}"),
        SharedStateFinished m => Of(m, $"request {Request(m.Request)}: {(m.Error == default ? $"ok, revision {m.Revision}{Text(m.LeftOut)}" : $"{m.Error}: {m.Reason}")}"),
        Dismissed m => Of(m, $"request {Request(m.Request)}: {m.Error}: {m.Reason}"),
        _ => message.Kind.ToString(),
    };

    public static string Text(MasterOutput output, Func<ConnectionId, char> nameOf) => output switch
    {
        MasterOutput.Send m => $"send {nameOf(m.Connection)} {Text(m.Message)}",
        MasterOutput.Close m => $"close {nameOf(m.Connection)}",
        MasterOutput.WakeAt m => $"wake at {m.NowMs} ms",
        MasterOutput.Report m => $"report {m.Event.Kind}: {m.Event.Text}",
        _ => throw new NotSupportedException(output.ToString()),
    };

    public static string Text(PeerInput input) => input switch
    {
        PeerInput.Connect m => $"application: Connect {m.Group}{Within(m.TimeoutMs)}{(m.KeepsMinimum ? $", at least {m.MinimumWorldSize} for good" : "")}",
        PeerInput.Announce m => $"application: Announce {Text(m.Scope, m.Text)}",
        PeerInput.Step m => $"application: Step request {m.Request.Value}{Within(m.TimeoutMs)}",
        PeerInput.UpdateTopology m => $"application: UpdateTopology request {m.Request.Value}{Within(m.TimeoutMs)}",
        PeerInput.OptimizeTopology m => $"application: OptimizeTopology request {m.Request.Value}{Within(m.TimeoutMs)}",
        PeerInput.Withdraw m => $"application: Withdraw request {m.Request.Value}",
        PeerInput.QueryPending m => $"application: QueryPending request {m.Request.Value}{Within(m.TimeoutMs)}",
        PeerInput.Synchronise m => $"application: Synchronise request {m.Request.Value}, {Text(m.Revision, m.Rule, m.Strategy, m.Entries)}{Within(m.TimeoutMs)}",
        PeerInput.StateFetched m => $"state: Fetched request {m.Request.Value} {(m.Ok ? "ok" : $"failed: {m.Detail}")}",
        PeerInput.HolderFailed m => $"state: HolderFailed request {m.Request.Value}: {Name(m.Holder)}{(m.WrongBytes ? ", wrong bytes" : "")}: {m.Detail}",
        PeerInput.Launch m => $"application: Launch operation {m.Operation.Value}, {m.Tag}: {Text(m.Descriptor)}{Within(m.TimeoutMs)}",
        PeerInput.BeginSet m => $"application: BeginSet operation {m.Operation.Value}, {m.Tag}: {m.Size} tensors{Within(m.TimeoutMs)}",
        PeerInput.LaunchTensor m => $"application: LaunchTensor {m.Position} of operation {m.Set.Value}, as operation {m.Operation.Value}: {Text(m.Descriptor)}",
        PeerInput.Cancel m => $"application: Cancel operation {m.Operation.Value}",
        PeerInput.Leave => "application: Leave",
        PeerInput.LocalFault m => $"driver: LocalFault {m.Reason}",
        PeerInput.Connected m => $"control: Connected, data port {m.DataPort}",
        PeerInput.Received m => $"master: {Text(m.Message)}",
        PeerInput.Lost m => $"control: Lost {m.Code}: {m.Reason}",
        PeerInput.Wired m => $"links: Wired {m.Epoch}",
        PeerInput.LinkLost m => $"links: LinkLost {m.Epoch} {(m.Outgoing ? "to" : "from")} {Name(m.Neighbour)}: {m.Detail}",
        PeerInput.RingCompleted m => $"ring: Completed operation {m.Operation.Value}",
        PeerInput.RingFailed m => $"ring: Failed operation {m.Operation.Value}: {m.Detail}",
        PeerInput.Surveyed m => $"links: Surveyed {m.Epoch}, not reached: {(m.Unreachable.Count == 0 ? "nobody" : $"ranks {string.Join(", ", m.Unreachable)}")}",
        PeerInput.ProbeDone m => $"links: ProbeDone {m.Number}: {(m.Ok ? $"{m.BytesPerSecond} bytes/s" : m.Detail)}",
        PeerInput.Tick => "Tick",
        _ => throw new NotSupportedException(input.ToString()),
    };

    public static string Text(PeerOutput output) => output switch
    {
        PeerOutput.Send m => $"send {Text(m.Message)}",
        PeerOutput.Wire m => $"wire {m.Epoch} as rank {m.Rank} of [{Names(m.Members)}]",
        PeerOutput.Survey m => $"survey {m.Epoch}: {string.Join(", ", m.Targets.Select(t => $"{t.Rank} at {t.Member.Address}"))}",
        PeerOutput.Probe m => $"probe {m.Number} as {(m.From.Id == m.Self ? "sender" : "target")} from {Name(m.From.Id)} to {Name(m.To.Id)}",
        PeerOutput.Welcomed m => $"registered as {Name(m.Id)}, segments of {m.SegmentBytes} bytes",
        PeerOutput.WorldStands m => $"world stands: {m.Membership.Epoch}, rank {m.Membership.Rank} of [{Names(m.Membership.Members)}], {Text(m.Membership.Sizes)}",
        PeerOutput.StartRing m => $"start ring of operation {m.Operation.Value}: {m.Attempt} with [{Names(m.Membership.Members)}]",
        PeerOutput.ReleaseRing m => $"release ring of operation {m.Operation.Value}",
        PeerOutput.StopRing m => $"stop ring of operation {m.Operation.Value}",
        PeerOutput.FinishOperation m => $"finish operation {m.Operation.Value}: {Text(m.Outcome)}{Text(m.Seen)}",
        PeerOutput.FinishRequest m => $"finish request {m.Request.Value}: {Text(m.Outcome)}{(m.Yes ? ", yes" : "")}{Text(m.Seen)}",
        PeerOutput.FetchState m => $"fetch state for request {m.Request.Value}: {Text(m.Plan)}",
        PeerOutput.HolderLost m => $"holder lost for request {m.Request.Value}: {Name(m.Holder)}",
        PeerOutput.FinishSync m => $"finish sync {m.Request.Value}: {Text(m.Outcome)}{(m.Outcome.Succeeded ? $", revision {m.Revision}{Text(m.LeftOut)}" : "")}{Text(m.Seen)}",
        PeerOutput.WakeAt m => $"wake at {m.NowMs} ms",
        PeerOutput.Waits m => $"log: waits {m.Seconds} s {m.Text}",
        PeerOutput.Die m => $"die: {Text(m.Outcome)}",
        _ => throw new NotSupportedException(output.ToString()),
    };

    private static string Text(string scope, string? fingerprint) => $"{(scope.Length > 0 ? $"{scope} " : "")}{(fingerprint is null ? "nothing" : $"\"{fingerprint}\"")}";

    private static string Text(Membership? seen) => seen is null ? "" : $", in the world of {seen.Epoch}";

    /// <summary>Ids become letters wherever they stand in a sentence.</summary>
    public static string WithNames(string line)
    {
        for (var name = 'A'; name <= 'F'; name++)
        {
            line = line.Replace(Peer(name).ToShortString(), name.ToString(), StringComparison.Ordinal);
        }

        return line;
    }

    /// <summary>Tensors in short: "w:1" is one with content 1, "w:1:UInt8" one of another type, "w:1:Float32:5" one of 5 elements, "r?" one that may differ.</summary>
    public static StateEntry[] Entries(string state) => [.. state.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Entry)];

    private static StateEntry Entry(string text)
    {
        var parts = text.Split(':');
        var mayDiffer = parts[0].EndsWith('?');
        return new StateEntry(
            parts[0].TrimEnd('?'),
            parts.Length > 2 ? Enum.Parse<DataType>(parts[2]) : DataType.Float32,
            parts.Length > 3 ? ulong.Parse(parts[3], CultureInfo.InvariantCulture) : 10,
            mayDiffer,
            mayDiffer ? default : new StateHash(UInt128.Parse(parts[1], CultureInfo.InvariantCulture)));
    }

    private static string Text(IReadOnlyList<LeftOutPeer> leftOut)
        => leftOut.Count == 0 ? "" : $", without {string.Join(", ", leftOut.Select(p => $"{Name(p.Id)} ({p.Code}: {p.Reason})"))}";

    private static string Text(Revision revision, RevisionRule rule, SyncStrategy strategy, IReadOnlyList<StateEntry> entries)
        => $"revision {revision}{(rule == RevisionRule.Grows ? "" : $" {rule}")}, {strategy}: {string.Join(' ', entries.Select(Text))}";

    private static string Text(StateEntry entry)
        => $"{entry.Key}{(entry.MayDiffer ? "?" : $":{entry.Hash.Value}")}{(entry.DataType != DataType.Float32 || entry.Count != 10 ? $":{entry.DataType}:{entry.Count}" : "")}";

    private static string Text(SharedStatePlan plan)
    {
        var fetches = plan.Fetches.Select(f => $"#{f.Index}{(f.Hash == default ? "?" : $":{f.Hash.Value}")} from [{string.Join(' ', plan.HolderSets[f.HolderSet].Select(n => Name(plan.Holders[n].Id)))}]");
        return $"revision {plan.Revision}: {(plan.Fetches.Count == 0 ? "nothing to fetch" : string.Join(", ", fetches))}";
    }

    private static string Within(long timeoutMs) => timeoutMs < 0 ? "" : $" within {timeoutMs} ms";

    private static string Of(Message message, string text) => $"{message.Kind} {text}";

    private static string Text(Outcome outcome) => outcome.Succeeded ? "ok" : $"{outcome.Code}: {outcome.Reason}";

    private static string Text(CollectiveDescriptor descriptor) => string.Create(CultureInfo.InvariantCulture, $"{descriptor.Count} {descriptor.DataType} {descriptor.Operation}{(descriptor.Quantisation == 0 ? "" : $", quantised {Quantization.FromByte(descriptor.Quantisation)}")}{(descriptor.Label.Length == 0 ? "" : $", \"{descriptor.Label}\"")}{(descriptor.Tensors <= 1 ? "" : $", one of {descriptor.Tensors} tensors")}");

    private static string Text(WorldSizes sizes) => $"world {sizes.Global} in {sizes.Groups} groups, largest {sizes.LargestGroup}";

    private static string Or(string what, PeerAddress? address) => address is { } given ? $"{what} {given}" : "";

    private static string Names(IEnumerable<Member> members) => string.Join(' ', members.Select(Text));

    /// <summary>With its addresses, where they are not those that its name stands for.</summary>
    private static string Text(Member member) => $"{Name(member.Id)}{(member == Member(Name(member.Id)) ? "" : $" at {member.Address}")}{(member.Alternative is { } other ? $" or {other}" : "")}";

    private static string Text(IReadOnlyList<Exclusion> excluded)
        => excluded.Count == 0 ? "" : $"; without {string.Join(", ", excluded.Select(e => $"{Name(e.Id)} ({e.Reason})"))}";

    private static string Text(IReadOnlyList<Decision> decisions)
        => decisions.Count == 0 ? "" : $"; decided {string.Join(", ", decisions.Select(d => $"{d.Tag} #{d.Ordinal} {(d.Committed ? "committed" : $"{d.Code}: {d.Reason}")}"))}";

    /// <summary>Without the master's term.</summary>
    private static ulong Probe(ulong number) => new Epoch(number).Number;

    /// <summary>A peer's own questions are numbered from 2^63 on.</summary>
    private static string Request(RequestNumber request) => request.Value >> 63 == 0 ? $"{request.Value}" : $"own {request.Value & (ulong.MaxValue >> 1)}";
}
