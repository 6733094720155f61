using System.Collections;
using Collective.Coordination;
using Collective.Protocol;
using Microsoft.Extensions.Logging;

namespace Collective.Hosting;

/// <summary>The master's events as log lines with fields. What strangers can cause at will is one line a second and source, with the number of those left out.</summary>
internal sealed class MasterLog(ILogger logger)
{
    private readonly Dictionary<(MasterEventKind Kind, UInt128 Source), Repeated> _repeated = [];

    /// <summary>Of one kind and source: when a line was written, and what has been left out since.</summary>
    private sealed class Repeated(long writtenMs)
    {
        public long WrittenMs { get; set; } = writtenMs;

        public int LeftOut { get; set; }

        public MasterEvent? Last { get; set; }
    }

    public void Write(MasterEvent @event, long nowMs)
    {
        if (@event.Source is not { } source)
        {
            Log(@event, @event.Text);
            return;
        }

        var key = (@event.Kind, _repeated.Count < Limits.LogSourcesMax || _repeated.ContainsKey((@event.Kind, source.Address)) ? source.Address : UInt128.MaxValue);
        if (!_repeated.TryGetValue(key, out var repeated))
        {
            _repeated.Add(key, new Repeated(nowMs));
            Log(@event, @event.Text);
            return;
        }

        repeated.LeftOut++;
        repeated.Last = @event;
    }

    /// <summary>Of what was left out the last is written, with how many there were.</summary>
    public void Tick(long nowMs)
    {
        foreach (var (key, repeated) in _repeated)
        {
            if (nowMs - repeated.WrittenMs < Limits.LogPauseMs)
            {
                continue;
            }

            if (repeated is not { Last: { } last })
            {
                _repeated.Remove(key);
                continue;
            }

            Log(last, repeated.LeftOut == 1 ? last.Text : $"{last.Text} (and {repeated.LeftOut - 1} more of that kind from there)");
            (repeated.Last, repeated.LeftOut, repeated.WrittenMs) = (null, 0, nowMs);
        }
    }

    /// <summary>Something of the process is short.</summary>
    public void Shortage(string text, long nowMs) => Write(new MasterEvent(MasterEventKind.ConnectionDiscarded, default, default, default, text, Source: default(PeerAddress)), nowMs);

    public void Failed(Exception e) => logger.LogCritical(e, "The master failed");

    private void Log(MasterEvent @event, string text)
    {
        var level = @event.Kind switch
        {
            MasterEventKind.PeerPending or MasterEventKind.PeerAdmitted or MasterEventKind.PeerLeft or MasterEventKind.PeersWait => LogLevel.Information,
            MasterEventKind.EpochOpened or MasterEventKind.EpochStands or MasterEventKind.TopologyOptimized or MasterEventKind.SharedStateSynchronised => LogLevel.Information,
            MasterEventKind.AttemptAborted => LogLevel.Debug,
            _ => LogLevel.Warning,
        };
        logger.Log(level, new EventId((int)@event.Kind, @event.Kind.ToString()), new Entry(@event, text), null, static (entry, _) => entry.ToString());
    }

    /// <summary>What a structured log gets: the text, and the fields that it is made of.</summary>
    private sealed class Entry(MasterEvent @event, string text) : IReadOnlyList<KeyValuePair<string, object?>>
    {
        private readonly List<KeyValuePair<string, object?>> _fields = Fields(@event, text);

        public int Count => _fields.Count;

        public KeyValuePair<string, object?> this[int index] => _fields[index];

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator() => _fields.GetEnumerator();

        public override string ToString() => text;

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        private static List<KeyValuePair<string, object?>> Fields(MasterEvent @event, string text)
        {
            var fields = new List<KeyValuePair<string, object?>> { new("Event", text) };
            if (@event.Peer != default)
            {
                fields.Add(new("Peer", @event.Peer.ToShortString()));
            }

            if (@event.Peer != default || @event.Epoch != Epoch.None)
            {
                fields.Add(new("Group", @event.Group.Value));
            }

            if (@event.Epoch != Epoch.None)
            {
                fields.Add(new("Epoch", @event.Epoch.ToString()));
            }

            if (@event.Reason.Length > 0)
            {
                fields.Add(new("Reason", @event.Reason));
            }

            fields.Add(new("{OriginalFormat}", "{Event:l}"));
            return fields;
        }
    }
}
