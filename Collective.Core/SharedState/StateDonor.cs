using System.Diagnostics;
using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Sharing;

/// <summary>What a peer has given in one sync.</summary>
/// <param name="Bytes">Bytes of tensors.</param>
/// <param name="WireBytes">Bytes on the wire, in their packed form and with headers and digests.</param>
internal readonly record struct StateBytes(long Bytes, long WireBytes);

/// <summary>Gives blocks of the caller's tensors to whoever asks, from just before the vote to the end of the sync.</summary>
/// <param name="limit">Over all connections.</param>
/// <param name="given">Called after each answer with blocks.</param>
internal sealed class StateDonor(UploadLimit limit, Action? given = null)
{
    // Guards the fields below between the connections' threads, the thread of a sync and the peer's loop.
    private readonly object _gate = new();
    private readonly HashSet<IByteConnection> _connections = [];
    private Dictionary<string, StateTensor>? _tensors;
    private int _reading;
    private StateBytes _given;

    /// <summary>From now on these tensors are given.</summary>
    public void Publish(IEnumerable<StateTensor> tensors)
    {
        lock (_gate)
        {
            _tensors = tensors.ToDictionary(t => t.Key, StringComparer.Ordinal);
            _given = default;
        }
    }

    /// <summary>Whether there is something to be had.</summary>
    public bool Serving
    {
        get
        {
            lock (_gate)
            {
                return _tensors is not null;
            }
        }
    }

    /// <summary>Ends what is under way; when it returns nobody reads the tensors any more.</summary>
    public StateBytes Withdraw()
    {
        lock (_gate)
        {
            _tensors = null;
            foreach (var connection in _connections)
            {
                connection.Dispose();
            }

            Monitor.PulseAll(_gate);
            while (_reading > 0)
            {
                Monitor.Wait(_gate);
            }

            return _given;
        }
    }

    /// <summary>Serves one connection to its end. Bytes that are no request end it.</summary>
    public void Serve(IByteConnection connection)
    {
        lock (_gate)
        {
            _connections.Add(connection);
        }

        try
        {
            var sender = new StateSender(connection, limit, WaitWhileServing);
            while (sender.ReceiveRequest() is { } request && Answer(sender, request))
            {
            }
        }
        catch (IOException)
        {
            // It ended.
        }
        finally
        {
            lock (_gate)
            {
                _connections.Remove(connection);
            }
        }
    }

    /// <summary>False when nothing more is to be expected.</summary>
    private bool Answer(StateSender sender, StateRequest request)
    {
        StateTensor? tensor;
        bool serving;
        lock (_gate)
        {
            serving = _tensors is not null;
            tensor = _tensors?.GetValueOrDefault(request.Key);
            _reading++;
        }

        var bytes = default(StateBytes);
        try
        {
            if (tensor is null || tensor.Bytes != request.Bytes || !tensor.Has(request.FirstBlock, request.Blocks))
            {
                sender.Refuse(serving ? StateReply.NoSuchBlocks : StateReply.NotServing);
                return serving;
            }

            bytes = request.Kind == StateRequestKind.Digests ? sender.SendDigests(tensor, request) : sender.SendBlocks(tensor, request);
        }
        finally
        {
            lock (_gate)
            {
                _reading--;
                _given = new StateBytes(_given.Bytes + bytes.Bytes, _given.WireBytes + bytes.WireBytes);
                Monitor.PulseAll(_gate);
            }
        }

        if (bytes.Bytes > 0)
        {
            given?.Invoke();
        }

        return true;
    }

    /// <summary>Lets so much time pass; false when the sync ends meanwhile.</summary>
    private bool WaitWhileServing(double milliseconds)
    {
        var started = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (_tensors is not null)
            {
                var left = milliseconds - Stopwatch.GetElapsedTime(started).TotalMilliseconds;
                if (left <= 0)
                {
                    return true;
                }

                Monitor.Wait(_gate, (int)Math.Ceiling(left));
            }

            return false;
        }
    }
}
